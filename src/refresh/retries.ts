import { type Backoff, retryDelay } from "../backoff.ts";
import { describeBug, type Log } from "../log.ts";
import { type Database, DatabaseUnavailable } from "../store/database.ts";
import { getFailures, saveRetry } from "../store/refresh-failures.ts";
import type { RefreshOutcome } from "./refresh-outcome.ts";

/** The delays between retries. The next sweep takes over when they are used up. */
export const REFRESH_RETRIES: Backoff = { firstMs: 5_000, factor: 3, maxMs: 300_000, maxRetries: 5 };

export type RetryDeps = { database: Database; clock: () => number; random: () => number; log: Log };

/** The state of an experiment after a failed refresh. */
export type Retry = {
  /** Failures in a row. After the last retry the count starts again, so that the next sweep has all its retries. */
  failures: number;
  /** The time of the retry; null: the next sweep takes over. */
  retryAt: number | null;
};

/** Plans the retry after one more failure. Its time is in epoch milliseconds. */
export function planRetry({ clock, random }: Pick<RetryDeps, "clock" | "random">, failuresBefore: number): Retry {
  const delay = retryDelay(failuresBefore + 1, random(), REFRESH_RETRIES);
  return delay === null ? { failures: 0, retryAt: null } : { failures: failuresBefore + 1, retryAt: clock() + delay };
}

/**
 * Stores the failure and the retry of a refresh that ended without storing anything. Returns when the retry is due.
 * @throws DatabaseUnavailable
 */
export async function scheduleRetry(deps: RetryDeps, experimentId: string, begunAt: number): Promise<number | null> {
  const retry = planRetry(deps, await getFailures(deps.database, experimentId));
  await saveRetry(deps.database, experimentId, begunAt, { failedAt: Math.max(begunAt, deps.clock()), ...retry });
  return retry.retryAt;
}

/** Runs one refresh. An exception is logged in full and becomes a failure with a retry. */
export async function refreshOrRetry(
  deps: RetryDeps,
  experimentId: string,
  refresh: () => Promise<RefreshOutcome>,
): Promise<RefreshOutcome> {
  const begunAt = deps.clock();
  try {
    return await refresh();
  } catch (error) {
    const kind = error instanceof DatabaseUnavailable ? "storage" : "bug";
    deps.log("error", "refresh.failed", {
      experiment_id: experimentId,
      kind,
      transient: true,
      error: describeBug(error),
    });
    if (kind === "storage") return { status: "failed", kind, retryAt: null };
    try {
      return { status: "failed", kind, retryAt: await scheduleRetry(deps, experimentId, begunAt) };
    } catch {
      return { status: "failed", kind: "storage", retryAt: null };
    }
  }
}
