import { DurableObject } from "cloudflare:workers";
import { consoleLog } from "../log.ts";
import { createRefreshSlice, type RefreshSlice, type SliceOutcome, sweep, sweepBudget } from "../refresh/sweep.ts";
import { createSweeper } from "../refresh/exclusive-sweep.ts";
import { describeProblems, parseSettings } from "../settings.ts";
import { openD1 } from "./d1.ts";
import type { Env } from "./env.ts";

/** The name of the one object that sweeps. */
export const SWEEPER = "sweeper";

/**
 * Sweeps, as a Durable Object of which there is one: so two sweeps never run at once, and all slices share one bound.
 * It hands them to itself by calls, because each call brings CPU time and subrequests of its own; in a single
 * invocation a sweep of 100,000 experiments would use them up.
 */
export class Sweeper extends DurableObject<Env> {
  #sweep = createSweeper(Date.now, (now) => this.#goRound(now));
  #refreshSlice: RefreshSlice | null = null;

  /** One sweep; resolves to false if not all was refreshed. While one is under way, another shares its end. */
  sweep(now: number): Promise<boolean> {
    return this.#sweep(now);
  }

  /** For itself. */
  refreshSlice(experimentIds: string[], now: number, until: number): Promise<SliceOutcome> {
    this.#refreshSlice ??= this.#createRefreshSlice();
    return this.#refreshSlice(experimentIds, now, until);
  }

  async #goRound(now: number): Promise<boolean> {
    const { warehouse, sweepConcurrency } = this.#settings();
    // Anew for each sweep: a call that never ends must not take a place away from all that follow.
    this.#refreshSlice = this.#createRefreshSlice();
    const self = this.env.SWEEPER.getByName(SWEEPER);
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
      refresh: (id, now) => this.env.COORDINATOR.getByName(id).refresh(id, now),
      concurrency: this.#settings().sweepConcurrency,
      clock: Date.now,
      log: consoleLog,
    });
  }

  #settings() {
    const settings = parseSettings({ ...this.env });
    if (!settings.ok) throw new Error(describeProblems(settings.failure));
    return settings.value;
  }
}
