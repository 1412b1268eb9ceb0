import { DurableObject } from "cloudflare:workers";
import { connectFlagsmith } from "../flagsmith/flagsmith-client.ts";
import { syncFlagsmith } from "../flagsmith/sync.ts";
import { createSyncRequests } from "../flagsmith/sync-requests.ts";
import { type SyncOutcome, type SyncSlice, syncSlice } from "../flagsmith/sync-slice.ts";
import { consoleLog, describeBug } from "../log.ts";
import { type Dispatcher as Core, createDispatcher } from "../refresh/dispatcher.ts";
import { createExclusiveSweep } from "../refresh/exclusive-sweep.ts";
import type { SliceOutcome } from "../refresh/refresh-slice.ts";
import { cleanUpWindows } from "../refresh/state-maintenance.ts";
import { sweep } from "../refresh/sweep.ts";
import { maxRefreshMs, sweepBudget } from "../refresh/sweep-times.ts";
import type { FlagsmithSettings } from "../settings.ts";
import { connectWarehouse } from "../warehouse/client.ts";
import { openD1 } from "./d1.ts";
import type { DispatcherRpc, Env } from "./env.ts";
import { requireSettings } from "./require-settings.ts";
import { storageAlarm } from "./storage-alarm.ts";
import { coordinatorStubs, dispatcherStub } from "./stubs.ts";

/**
 * Runs the sweeps and all other refreshes. There is only one such object, so that one limit holds for all of them. It calls
 * itself for each slice of a sweep, because each call has its own limits of CPU time and subrequests. A sweep of 100,000
 * experiments would exceed those of a single invocation.
 */
export class Dispatcher extends DurableObject<Env> implements DispatcherRpc {
  #sweep = createExclusiveSweep(Date.now, (now) => this.#refreshAll(now));
  #syncs = createSyncRequests(() =>
    dispatcherStub(this.env)
      .syncFlagsmith()
      .catch((error: unknown) => {
        consoleLog("error", "flagsmith.failed", { error: describeBug(error) });
        return 0;
      }),
  );
  #dispatcher: Core | null = null;
  #isCleaningUp = false;

  async wake(urgentId: string | null): Promise<void> {
    await this.#open().wake(urgentId);
  }

  override async alarm(): Promise<void> {
    await this.#open().onAlarm();
  }

  sweep(now: number): Promise<boolean> {
    return this.#sweep(now);
  }

  refreshSlice(experimentIds: readonly string[], now: number, until: number): Promise<SliceOutcome> {
    return this.#open().refreshSlice(experimentIds, now, until);
  }

  /** Does not wait for the sync, which may take longer than the sender of a webhook waits. */
  async requestSync(): Promise<void> {
    this.#syncs.request();
  }

  async syncFlagsmith(): Promise<number> {
    const { flagsmith } = requireSettings(this.env);
    if (flagsmith === null) return 0;
    const self = dispatcherStub(this.env);
    return syncFlagsmith({
      ...this.#syncDeps(flagsmith),
      environments: flagsmith.environments,
      syncSlice: (slice) => self.syncSlice(slice),
      dispatcher: this,
    });
  }

  async syncSlice(slice: SyncSlice): Promise<SyncOutcome> {
    const { flagsmith } = requireSettings(this.env);
    if (flagsmith === null) return { notes: [], changed: 0, failure: null };
    return syncSlice(this.#syncDeps(flagsmith), slice);
  }

  #syncDeps(flagsmith: FlagsmithSettings) {
    const client = connectFlagsmith(flagsmith, { clock: Date.now, random: Math.random });
    return { database: openD1(this.env.DB), client, clock: Date.now, log: consoleLog };
  }

  async cleanUp(): Promise<void> {
    const { states, warehouse } = requireSettings(this.env);
    if (states === null || this.#isCleaningUp) return;
    this.#isCleaningUp = true;
    const deps = { database: openD1(this.env.DB), warehouse: connectWarehouse(warehouse), log: consoleLog };
    await cleanUpWindows({ ...deps, ...states }).finally(() => {
      this.#isCleaningUp = false;
    });
  }

  async #refreshAll(now: number): Promise<boolean> {
    const settings = requireSettings(this.env);
    const self = dispatcherStub(this.env);
    const deps = {
      database: openD1(this.env.DB),
      refreshSlice: (ids: readonly string[], now: number, until: number) => self.refreshSlice([...ids], now, until),
      concurrency: settings.queryConcurrency,
      clock: Date.now,
      log: consoleLog,
    };
    const until = Date.now() + sweepBudget(settings);
    await this.wake(null);
    if (settings.flagsmith !== null) await this.#syncs.run();
    const isComplete = await sweep(deps, now, until);
    // A call of its own, for which the sweep does not wait: it may take longer than a Cron Trigger.
    self.cleanUp().catch((error: unknown) => consoleLog("warn", "states.failed", { error: describeBug(error) }));
    return isComplete;
  }

  #open(): Core {
    if (this.#dispatcher !== null) return this.#dispatcher;
    const settings = requireSettings(this.env);
    this.#dispatcher = createDispatcher({
      database: openD1(this.env.DB),
      refresh: coordinatorStubs(this.env),
      concurrency: settings.queryConcurrency,
      maxRefreshMs: maxRefreshMs(settings),
      alarm: storageAlarm(this.ctx.storage),
      clock: Date.now,
      random: Math.random,
      log: consoleLog,
    });
    return this.#dispatcher;
  }
}
