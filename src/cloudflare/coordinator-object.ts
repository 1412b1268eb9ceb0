import { DurableObject } from "cloudflare:workers";
import { consoleLog } from "../log.ts";
import { createCoordinator } from "../refresh/coordinator.ts";
import { refreshExperiment } from "../refresh/refresh-experiment.ts";
import type { RefreshOutcome } from "../refresh/refresh-outcome.ts";
import { connectWarehouse } from "../warehouse/client.ts";
import { openCachedD1 } from "./cached-d1.ts";
import type { CoordinatorRpc, Env } from "./env.ts";
import { requireSettings } from "./require-settings.ts";
import { alerterStub } from "./stubs.ts";

/** The coordinator of one experiment, named by the experiment's id. It holds nothing that must survive an eviction. */
export class RefreshCoordinator extends DurableObject<Env> implements CoordinatorRpc {
  #refresh: ((now: number) => Promise<RefreshOutcome>) | null = null;

  refresh(experimentId: string, now: number): Promise<RefreshOutcome> {
    this.#refresh ??= this.#open(experimentId);
    return this.#refresh(now);
  }

  /** Old versions set alarms here. Their requests are in the database, so only the storage is left to delete. */
  override async alarm(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }

  #open(experimentId: string) {
    const settings = requireSettings(this.env);
    const deps = {
      database: openCachedD1(this.env.DB, settings).database,
      warehouse: connectWarehouse(settings.warehouse),
      settleMs: settings.settleMs,
      eventsTtlDays: settings.eventsTtlDays,
      states: settings.states,
      breakdownTraits: settings.breakdownTraits,
      alerts: alerterStub(this.env, settings),
      clock: Date.now,
      random: Math.random,
      log: consoleLog,
    };
    return createCoordinator((now) => refreshExperiment(deps, experimentId, now));
  }
}
