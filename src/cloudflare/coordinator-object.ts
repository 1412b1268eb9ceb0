import { DurableObject } from "cloudflare:workers";
import { consoleLog } from "../log.ts";
import { type Coordinator, type CoordinatorState, createCoordinator } from "../refresh/coordinator.ts";
import type { RefreshOutcome, RefreshTrigger } from "../refresh/coordinator-types.ts";
import { refreshExperiment } from "../refresh/refresh-experiment.ts";
import { connectWarehouse } from "../warehouse/client.ts";
import { openCachedD1 } from "./cached-d1.ts";
import type { CoordinatorRpc, Env } from "./env.ts";
import { requireSettings } from "./require-settings.ts";
import { storageAlarm } from "./storage-alarm.ts";
import { alerterStub } from "./stubs.ts";

const STATE = "state";
const EXPERIMENT_ID = "experiment_id";

/**
 * The coordinator of one experiment, named by the experiment's id. Its durable alarm makes an accepted refresh happen even
 * if the object is evicted.
 */
export class RefreshCoordinator extends DurableObject<Env> implements CoordinatorRpc {
  #coordinator: Coordinator | null = null;

  refresh(experimentId: string, now: number): Promise<RefreshOutcome> {
    return this.#open(experimentId).refresh(now);
  }

  request(experimentId: string, trigger: RefreshTrigger): Promise<void> {
    return this.#open(experimentId).request(trigger);
  }

  override async alarm(): Promise<void> {
    const experimentId = await this.ctx.storage.get<string>(EXPERIMENT_ID);
    if (experimentId !== undefined) await this.#open(experimentId).onAlarm();
  }

  #open(experimentId: string): Coordinator {
    if (this.#coordinator !== null) return this.#coordinator;
    const settings = requireSettings(this.env);
    const { storage } = this.ctx;
    const alarm = storageAlarm(storage);
    const refreshing = {
      database: openCachedD1(this.env.DB, settings).database,
      warehouse: connectWarehouse(settings.warehouse),
      settleMs: settings.settleMs,
      eventsTtlDays: settings.eventsTtlDays,
      states: settings.states,
      alerts: alerterStub(this.env, settings),
      clock: Date.now,
      log: consoleLog,
    };
    this.#coordinator = createCoordinator({
      experimentId,
      refresh: (now) => refreshExperiment(refreshing, experimentId, now),
      alarm: {
        ...alarm,
        set: async (at) => {
          // The alarm handler does not know the object's name, so the id is stored.
          await storage.put(EXPERIMENT_ID, experimentId);
          await alarm.set(at);
        },
      },
      storage: {
        load: async () => (await storage.get<CoordinatorState>(STATE)) ?? null,
        save: (state) => storage.put(STATE, state),
        clear: () => storage.deleteAll(),
      },
      minIntervalMs: settings.refreshMinIntervalMs,
      clock: Date.now,
      random: Math.random,
      log: consoleLog,
    });
    return this.#coordinator;
  }
}
