import { DurableObject } from "cloudflare:workers";
import { consoleLog } from "../log.ts";
import { createExclusiveSweep } from "../refresh/exclusive-sweep.ts";
import { createRefreshSlice, type RefreshSlice, type SliceOutcome } from "../refresh/refresh-slice.ts";
import { sweep } from "../refresh/sweep.ts";
import { sweepBudget } from "../refresh/sweep-times.ts";
import { openD1 } from "./d1.ts";
import type { Env, SweeperRpc } from "./env.ts";
import { requireSettings } from "./require-settings.ts";
import { coordinatorStubs, sweeperStub } from "./stubs.ts";

/**
 * Runs the sweeps. There is only one such object, so that two sweeps never run at once and all slices share one
 * concurrency limit. It calls itself for each slice, because each call has its own limits of CPU time and subrequests. A
 * sweep of 100,000 experiments would exceed those of a single invocation.
 */
export class Sweeper extends DurableObject<Env> implements SweeperRpc {
  #sweep = createExclusiveSweep(Date.now, (now) => this.#refreshAll(now));
  #refreshSlice: RefreshSlice | null = null;

  sweep(now: number): Promise<boolean> {
    return this.#sweep(now);
  }

  refreshSlice(experimentIds: readonly string[], now: number, until: number): Promise<SliceOutcome> {
    this.#refreshSlice ??= this.#createRefreshSlice();
    return this.#refreshSlice(experimentIds, now, until);
  }

  async #refreshAll(now: number): Promise<boolean> {
    const { warehouse, sweepConcurrency } = requireSettings(this.env);
    // Created for each sweep: a call that hangs in one sweep must not count against the concurrency of the next ones.
    this.#refreshSlice = this.#createRefreshSlice();
    const self = sweeperStub(this.env);
    const deps = {
      database: openD1(this.env.DB),
      refreshSlice: (ids: readonly string[], now: number, until: number) => self.refreshSlice([...ids], now, until),
      concurrency: sweepConcurrency,
      clock: Date.now,
      log: consoleLog,
    };
    return sweep(deps, now, Date.now() + sweepBudget(warehouse.queryTimeoutMs));
  }

  #createRefreshSlice(): RefreshSlice {
    return createRefreshSlice({
      refresh: coordinatorStubs(this.env).refresh,
      concurrency: requireSettings(this.env).sweepConcurrency,
      clock: Date.now,
      log: consoleLog,
    });
  }
}
