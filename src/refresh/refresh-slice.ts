import type { RefreshQueue } from "./refresh-queue.ts";

/** Counts of refreshes by outcome. `reached` is the number of experiments, from the first on, that were started in time. */
export type SliceOutcome = { refreshed: number; skipped: number; failed: number; reached: number };

/**
 * Refreshes some experiments, in order. A failure does not stop the others.
 * @param now the as-of time of the numbers
 * @param until the time from which no further refresh is started
 */
export type RefreshSlice = (experimentIds: readonly string[], now: number, until: number) => Promise<SliceOutcome>;

export function createRefreshSlice(queue: RefreshQueue): RefreshSlice {
  return async (experimentIds, now, until) => {
    const request = { now, until, isUrgent: false };
    const outcomes = await Promise.all(experimentIds.map((experimentId) => queue.add(experimentId, request)));
    const count: SliceOutcome = { refreshed: 0, skipped: 0, failed: 0, reached: outcomes.length };
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome === null) count.reached = Math.min(count.reached, index);
      else count[outcome.status] += 1;
    }
    return count;
  };
}
