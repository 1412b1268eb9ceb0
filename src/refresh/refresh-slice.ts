import pLimit from "p-limit";
import { describeBug, type Log } from "../log.ts";
import type { RefreshOutcome } from "./coordinator-types.ts";

/** Counts of refreshes by outcome. `reached` is the number of experiments, from the first on, that were started in time. */
export type SliceOutcome = { refreshed: number; skipped: number; failed: number; reached: number };

/**
 * Refreshes some experiments through their coordinators, in order. A failure does not stop the others.
 * @param now the time that the numbers are as of
 * @param until the time from which no further refresh is started
 */
export type RefreshSlice = (experimentIds: readonly string[], now: number, until: number) => Promise<SliceOutcome>;

export type SliceDeps = {
  refresh: (experimentId: string, now: number) => Promise<RefreshOutcome>;
  /** The maximum of concurrent refreshes in all slices together, which bounds the load on the warehouse. */
  concurrency: number;
  clock: () => number;
  log: Log;
};

export function createRefreshSlice({ refresh, concurrency, clock, log }: SliceDeps): RefreshSlice {
  const limit = pLimit(concurrency);
  return async (experimentIds, now, until) => {
    const outcome: SliceOutcome = { refreshed: 0, skipped: 0, failed: 0, reached: experimentIds.length };
    await limit.map(experimentIds, async (experimentId, index) => {
      if (clock() >= until) {
        outcome.reached = Math.min(outcome.reached, index);
        return;
      }
      try {
        const { status } = await refresh(experimentId, now);
        outcome[status] += 1;
      } catch (error) {
        // Only an unreachable coordinator throws: a failed refresh is an outcome.
        outcome.failed += 1;
        log("error", "coordinator.unreachable", { experiment_id: experimentId, error: describeBug(error) });
      }
    });
    return outcome;
  };
}
