import { describeBug, type Log } from "../log.ts";
import type { Database } from "../store/database.ts";
import { deleteOldDeliveries } from "../store/refresh-requests.ts";
import { beginSweep, countDueExperiments, type IdRange, saveSweepProgress } from "../store/sweep-progress.ts";
import type { RefreshSlice } from "./refresh-slice.ts";
import { remainingRanges, slicesFrom } from "./sweep-slices.ts";

export type SweepDeps = {
  database: Database;
  /** May be called again before it has ended, so that a slice with a slow query does not hold up the others. */
  refreshSlice: RefreshSlice;
  concurrency: number;
  clock: () => number;
  log: Log;
};

/** Senders of webhooks retry a delivery for about a day. */
const DELIVERY_TTL_MS = 3 * 86_400_000;

type SweepCount = { refreshed: number; skipped: number; failed: number };

/**
 * Refreshes every started experiment that is not final, in the order of their ids, starting where the last sweep stopped.
 * If time runs out, the next sweep continues there, so that every experiment gets its turn. Returns true if no
 * refresh failed and none was left. Failures are logged, so that an entry only has to report the result to its platform.
 * @param now the scheduled time of the sweep, and the as-of time of all its numbers
 * @param until the time from which no further refresh is started
 */
export async function sweep(deps: SweepDeps, now: number, until: number): Promise<boolean> {
  const count: SweepCount = { refreshed: 0, skipped: 0, failed: 0 };
  try {
    const remaining = await refreshAll(deps, now, until, count);
    await deleteOldDeliveries(deps.database, now - DELIVERY_TTL_MS);
    if (remaining.length > 0) {
      const { count: left, firstAsOf } = await countDueExperiments(deps.database, now, remaining);
      deps.log("error", "sweep.out_of_time", {
        ...count,
        left,
        oldest_as_of: firstAsOf === null ? null : new Date(firstAsOf).toISOString(),
        advice: "Raise QUERY_CONCURRENCY as far as ClickHouse allows. The next sweep continues where this one stopped.",
      });
      return false;
    }
  } catch (error) {
    deps.log("error", "sweep.failed", { ...count, error: describeBug(error) });
    return false;
  }
  deps.log(count.failed === 0 ? "info" : "error", "sweep.finished", count);
  return count.failed === 0;
}

/** Adds the outcomes to `count`, and returns the ranges that it did not reach in time. */
async function refreshAll(deps: SweepDeps, now: number, until: number, count: SweepCount): Promise<IdRange[]> {
  const start = await beginSweep(deps.database, now);
  /** Slices by the id that they follow, the oldest first. */
  const inFlight = new Map<string, Promise<void>>();
  /** The id to resume after, for each unfinished slice, the first slice first. */
  const unfinishedAfter = new Map<string, string>();

  async function refresh(after: string, ids: readonly string[]): Promise<void> {
    let reached = ids.length;
    try {
      const outcome = await deps.refreshSlice(ids, now, until);
      reached = outcome.reached;
      for (const key of ["refreshed", "skipped", "failed"] as const) count[key] += outcome[key];
    } catch (error) {
      count.failed += ids.length;
      deps.log("error", "slice.failed", { experiment_ids: ids, error: describeBug(error) });
    }
    if (reached < ids.length) unfinishedAfter.set(after, ids[reached - 1] ?? after);
    else unfinishedAfter.delete(after);
    inFlight.delete(after);
  }

  let saved = start;
  async function saveProgress(resumeAfter: string): Promise<void> {
    if (resumeAfter !== saved) await saveSweepProgress(deps.database, resumeAfter);
    saved = resumeAfter;
  }

  try {
    for await (const { after, ids } of slicesFrom(deps.database, now, start)) {
      // As many slices as refreshes may run at once: no refresh waits while every slice waits for one slow query.
      if (inFlight.size >= deps.concurrency) await Promise.race(inFlight.values());
      unfinishedAfter.set(after, after);
      if (deps.clock() >= until) break;
      // Saved before the slice starts: if the slice kills the sweep, the next sweep does not start with it again.
      await saveProgress(ids.at(-1) ?? after);
      inFlight.set(after, refresh(after, ids));
    }
  } finally {
    await Promise.all(inFlight.values());
  }

  const [resumeAfter] = unfinishedAfter.values();
  if (resumeAfter !== undefined) await saveProgress(resumeAfter);
  return resumeAfter === undefined ? [] : remainingRanges(resumeAfter, start);
}
