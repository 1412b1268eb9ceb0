import { DurableObject } from "cloudflare:workers";
import { consoleLog } from "../log.ts";
import { type Ask, type Coordinator, createCoordinator, type Memory } from "../refresh/coordinator.ts";
import type { RefreshOutcome } from "../refresh/outcome.ts";
import { refreshExperiment } from "../refresh/refresh-experiment.ts";
import { describeProblems, parseSettings } from "../settings.ts";
import { connectWarehouse } from "../warehouse/client.ts";
import { reachAlerter } from "./alerter-object.ts";
import { openDatabase } from "./cached-d1.ts";
import type { Env } from "./env.ts";

const MEMORY = "memory";
const EXPERIMENT_ID = "experiment_id";

/**
 * The coordinator of one experiment, as a Durable Object that is named by the experiment's id. Its alarm is durable
 * and goes off at least once, which is what makes an accepted refresh happen though the object is evicted.
 */
export class RefreshCoordinator extends DurableObject<Env> {
  #coordinator: Coordinator | null = null;

  refresh(experimentId: string, now: number): Promise<RefreshOutcome> {
    return this.#open(experimentId).refresh(now);
  }

  ask(experimentId: string, ask: Ask): Promise<void> {
    return this.#open(experimentId).ask(ask);
  }

  override async alarm(): Promise<void> {
    const experimentId = await this.ctx.storage.get<string>(EXPERIMENT_ID);
    if (experimentId !== undefined) await this.#open(experimentId).wake();
  }

  #open(experimentId: string): Coordinator {
    if (this.#coordinator !== null) return this.#coordinator;
    const settings = parseSettings({ ...this.env });
    if (!settings.ok) throw new Error(describeProblems(settings.failure));
    const { storage } = this.ctx;
    const refreshing = {
      database: openDatabase(this.env.DB, settings.value),
      warehouse: connectWarehouse(settings.value.warehouse),
      settleMs: settings.value.settleMs,
      eventsTtlDays: settings.value.eventsTtlDays,
      states: settings.value.states,
      alerts: reachAlerter(this.env.ALERTER, settings.value),
      clock: Date.now,
      log: consoleLog,
    };
    this.#coordinator = createCoordinator({
      experimentId,
      refresh: (now) => refreshExperiment(refreshing, experimentId, now),
      alarm: {
        get: () => storage.getAlarm(),
        set: async (at) => {
          // An alarm does not know the object's name: remember whom it is for.
          await storage.put(EXPERIMENT_ID, experimentId);
          await storage.setAlarm(at);
        },
        clear: () => storage.deleteAlarm(),
      },
      memory: {
        load: async () => (await storage.get<Memory>(MEMORY)) ?? null,
        save: (memory) => storage.put(MEMORY, memory),
        clear: () => storage.deleteAll(),
      },
      minIntervalMs: settings.value.refreshMinIntervalMs,
      clock: Date.now,
      random: Math.random,
      log: consoleLog,
    });
    return this.#coordinator;
  }
}
