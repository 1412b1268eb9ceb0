import pLimit from "p-limit";
import { describeBug, type Log } from "../log.ts";
import type { Database } from "../store/database.ts";
import { forgetDeliveries } from "../store/refresh-requests.ts";
import { type Arc, countToSweep, getSweepProgress, listToSweep, saveSweepProgress } from "../store/sweep-progress.ts";
import type { RefreshOutcome } from "./outcome.ts";

/** When a sweep is due, as in wrangler.toml. */
export const SWEEP_SCHEDULE = "*/15 * * * *";

/** After so long the platform ends a Cron Trigger, however far it is. */
export const LONGEST_SWEEP_MS = 15 * 60_000;
/** What a sweep needs beside its last queries, to write them down and to tell how it ended. */
const CLOSING_MS = 60_000;

/** For how long a sweep may begin refreshes, so that the last of them can end with it. */
export function sweepBudget(queryTimeoutMs: number): number {
  return Math.max(LONGEST_SWEEP_MS / 3, LONGEST_SWEEP_MS - CLOSING_MS - queryTimeoutMs);
}

/** How the refreshes of a slice ended; `begun` of its experiments, from the first on, were reached in time. */
export type SliceOutcome = { refreshed: number; skipped: number; failed: number; begun: number };

/**
 * Refreshes some experiments through their coordinators, in their order. One that fails stops no other.
 * @param now as of when
 * @param until from then on it begins no more
 */
export type RefreshSlice = (experimentIds: readonly string[], now: number, until: number) => Promise<SliceOutcome>;

export type SliceDeps = {
  refresh: (experimentId: string, now: number) => Promise<RefreshOutcome>;
  /** So many refreshes at once, in all slices together: the warehouse has other work too. */
  concurrency: number;
  clock: () => number;
  log: Log;
};

export function createRefreshSlice({ refresh, concurrency, clock, log }: SliceDeps): RefreshSlice {
  const limit = pLimit(concurrency);
  return async (experimentIds, now, until) => {
    const outcome: SliceOutcome = { refreshed: 0, skipped: 0, failed: 0, begun: experimentIds.length };
    await limit.map(experimentIds, async (experimentId, index) => {
      if (clock() >= until) {
        outcome.begun = Math.min(outcome.begun, index);
        return;
      }
      try {
        const { status } = await refresh(experimentId, now);
        outcome[status] += 1;
      } catch (error) {
        // The coordinator itself could not be reached; what a refresh meets, it returns.
        outcome.failed += 1;
        log("error", "coordinator.unreachable", { experiment_id: experimentId, error: describeBug(error) });
      }
    });
    return outcome;
  };
}

export type SweepDeps = {
  database: Database;
  /** May be called again before it has ended: that one slice waits for a slow query holds up no other. */
  refreshSlice: RefreshSlice;
  concurrency: number;
  clock: () => number;
  log: Log;
};

/** What a slice does must fit into one invocation of a Worker, on the free plan: 50 subrequests. */
const SLICE = 40;
const PAGE = 5_000;
/** Senders of webhooks stop trying a delivery after a day or so. */
const DELIVERIES_KEPT_MS = 3 * 86_400_000;

/**
 * Refreshes every started experiment that is not final, going round them in the order of their ids from where the last
 * sweep stopped. If time runs out, the next one goes on there, so that every experiment has its turn, whatever fails.
 * True if all were refreshed; what was not is in the log by then, so that an entry need only tell its platform.
 * @param now the time the sweep was scheduled for; all its numbers are as of then
 * @param until from then on it begins no more refreshes
 */
export async function sweep(deps: SweepDeps, now: number, until: number): Promise<boolean> {
  const count = { refreshed: 0, skipped: 0, failed: 0 };
  try {
    const left = await goRound(deps, now, until, count);
    await forgetDeliveries(deps.database, now - DELIVERIES_KEPT_MS);
    if (left.length > 0) {
      const { count: experiments, firstAsOf } = await countToSweep(deps.database, now, left);
      deps.log("error", "sweep.out_of_time", {
        ...count,
        left: experiments,
        oldest_as_of: firstAsOf === null ? null : new Date(firstAsOf).toISOString(),
        advice: "raise SWEEP_CONCURRENCY as far as ClickHouse bears it; the next sweep goes on where this one stopped",
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

type Count = { refreshed: number; skipped: number; failed: number };

/** Adds to `count` what it has done, and returns what is left: nothing, if there was time for all. */
async function goRound(deps: SweepDeps, now: number, until: number, count: Count): Promise<Arc[]> {
  const start = await getSweepProgress(deps.database);
  /** By the id that they come after, the oldest first. */
  const underWay = new Map<string, Promise<void>>();
  /** For each slice that was not done to its end, the id after which the rest lies, the first slice first. */
  const leftAfter = new Map<string, string>();

  async function refresh(after: string, ids: readonly string[]): Promise<void> {
    let begun = ids.length;
    try {
      const outcome = await deps.refreshSlice(ids, now, until);
      begun = outcome.begun;
      for (const key of ["refreshed", "skipped", "failed"] as const) count[key] += outcome[key];
    } catch (error) {
      count.failed += ids.length;
      deps.log("error", "slice.failed", { experiment_ids: ids, error: describeBug(error) });
    }
    if (begun < ids.length) leftAfter.set(after, ids[begun - 1] ?? after);
    else leftAfter.delete(after);
    underWay.delete(after);
  }

  let pages = 0;
  try {
    for await (const { after, ids, opensPage } of slicesOf(deps.database, now, start)) {
      if (opensPage) pages += 1;
      // Should this sweep be killed, the next one need not begin anew.
      if (opensPage && pages > 1) await saveSweepProgress(deps.database, [...underWay.keys()][0] ?? after);
      // With as many slices as refreshes, no refresh has to wait though every slice waits for a slow one.
      if (underWay.size >= deps.concurrency) await Promise.race(underWay.values());
      leftAfter.set(after, after);
      if (deps.clock() >= until) break;
      underWay.set(after, refresh(after, ids));
    }
  } finally {
    await Promise.all(underWay.values());
  }

  const [resumeAfter] = leftAfter.values();
  if (resumeAfter !== undefined || pages > 1) await saveSweepProgress(deps.database, resumeAfter ?? start);
  return resumeAfter === undefined ? [] : roundFrom(resumeAfter, start);
}

/** The way once round: from an id to the end, and from the beginning to where the sweep began. */
function roundFrom(after: string, start: string): Arc[] {
  if (after < start) return [{ after, upTo: start }];
  return start === ""
    ? [{ after, upTo: null }]
    : [
        { after, upTo: null },
        { after: "", upTo: start },
      ];
}

async function* slicesOf(database: Database, now: number, start: string) {
  for (const { after: first, upTo } of roundFrom(start, start)) {
    let ids: string[];
    let after = first;
    do {
      ids = await listToSweep(database, now, { after, upTo }, PAGE);
      for (let from = 0; from < ids.length; from += SLICE) {
        const slice = ids.slice(from, from + SLICE);
        yield { after, ids: slice, opensPage: from === 0 };
        after = slice.at(-1) ?? after;
      }
    } while (ids.length === PAGE);
  }
}
