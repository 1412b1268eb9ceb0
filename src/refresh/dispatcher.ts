import pLimit from "p-limit";
import { type Alarm, setAlarmBy } from "../alarm.ts";
import { type Backoff, retryDelay } from "../backoff.ts";
import { describeBug } from "../log.ts";
import { listPendingRefreshes, type PendingRefresh, REFRESH_BEGUN } from "../store/refresh-requests.ts";
import { withTimeout } from "../with-timeout.ts";
import type { Refresh, RefreshOutcome } from "./refresh-outcome.ts";
import { createRefreshQueue } from "./refresh-queue.ts";
import { createRefreshSlice, type RefreshSlice } from "./refresh-slice.ts";
import { type RetryDeps, scheduleRetry } from "./retries.ts";

/** Access to the dispatcher. */
export type RefreshDispatcher = {
  /**
   * Resolves once the refreshes that are pending in the database are certain to happen. Throws if that is not certain.
   * @param urgentId the experiment of a person's request, which is refreshed before all others
   */
  wake(urgentId: string | null): Promise<void>;
};

export type Dispatcher = RefreshDispatcher & {
  /** Handles the alarm. */
  onAlarm(): Promise<void>;
  refreshSlice: RefreshSlice;
  /** Starts no more refreshes, and resolves when those in flight have ended. */
  stop(): Promise<void>;
};

export type DispatcherDeps = RetryDeps & {
  /** Runs a refresh through its coordinator. Throws if that can't be reached. */
  refresh: Refresh;
  /** The max number of refreshes at once. A refresh runs at most one query at a time. */
  concurrency: number;
  /** The time after which a refresh has certainly ended, unless its coordinator is stuck. */
  maxRefreshMs: number;
  alarm: Alarm;
};

/** The max number of refreshes that one alarm starts. A Worker invocation has 50 subrequests on the free plan. */
const PAGE_SIZE = 40;
/** While refreshes are in flight, the alarm fires this often, so that a new process finds those that a crash cut off. */
const CHECK_MS = 15_000;
/** The pauses while the database fails. */
const PAUSE: Backoff = { firstMs: 1_000, factor: 2, maxMs: 10_000, maxRetries: Number.POSITIVE_INFINITY };

/**
 * Runs all refreshes of an installation, at most `concurrency` at once. The requests and retries are a queue in the
 * database, in the order of their due times. The alarm reads the due ones, and sweeps add theirs as slices.
 *
 * An alarm is set for as long as the queue holds anything, so that a crash loses no accepted request. The queue in memory
 * may be lost at any time.
 */
export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const { database, clock, log } = deps;
  const queue = createRefreshQueue(deps.concurrency, clock, refresh);
  const refreshSlice = createRefreshSlice(queue);
  /** The newest time that the alarm was set for. It fires then, even if the clock was set back meanwhile. */
  let alarmAt: number | null = null;
  /** True if the last alarm may have left due refreshes in the database. */
  let hasMore = false;
  let databaseFailures = 0;
  let pausedUntil = 0;

  const alarm: Alarm = {
    ...deps.alarm,
    async set(at) {
      alarmAt = at;
      await deps.alarm.set(at);
    },
  };
  // One at a time, so that a later alarm does not replace an earlier one that is being set.
  const serially = pLimit(1);
  const wakeBy = (at: number) => serially(setAlarmBy, alarm, at);

  async function refresh(experimentId: string, now: number): Promise<RefreshOutcome> {
    const outcome = await callCoordinator(experimentId, now);
    try {
      if (outcome.status === "failed" && outcome.kind === "storage") await wakeBy(pause());
      if (outcome.status === "failed" && outcome.retryAt !== null) await wakeBy(outcome.retryAt);
      if (hasMore && queue.length() < deps.concurrency) {
        hasMore = false;
        await wakeBy(clock());
      }
    } catch (error) {
      log("error", "dispatcher.failed", { error: describeBug(error) });
    }
    return outcome;
  }

  async function callCoordinator(experimentId: string, now: number): Promise<RefreshOutcome> {
    const begunAt = clock();
    try {
      return await withTimeout(deps.refresh(experimentId, now), deps.maxRefreshMs, () => {
        throw new Error(`no outcome after ${deps.maxRefreshMs} ms`);
      });
    } catch (error) {
      log("error", "coordinator.unreachable", { experiment_id: experimentId, error: describeBug(error) });
      const retryAt = await scheduleRetry(deps, experimentId, begunAt).catch(() => "unknown" as const);
      return retryAt === "unknown"
        ? { status: "failed", kind: "storage", retryAt: null }
        : { status: "failed", kind: "unreachable", retryAt };
    }
  }

  function pause(): number {
    databaseFailures += 1;
    pausedUntil = clock() + (retryDelay(databaseFailures, deps.random(), PAUSE) ?? PAUSE.maxMs);
    return pausedUntil;
  }

  async function onAlarm(): Promise<void> {
    const now = Math.max(clock(), alarmAt ?? 0);
    alarmAt = null;
    try {
      const next = now < pausedUntil ? pausedUntil : await startDue(now);
      if (next !== null) await wakeBy(next);
    } catch (error) {
      log("error", "dispatcher.failed", { error: describeBug(error) });
      await wakeBy(pause());
    }
  }

  /** Adds the refreshes that are due to the queue. Returns when the database must be read again; null: nothing is pending. */
  async function startDue(now: number): Promise<number | null> {
    // The first rows may be refreshes that are queued or running already, so the page has room for those as well.
    const limit = PAGE_SIZE + queue.length() + deps.concurrency;
    const pending = await listPendingRefreshes(database, limit);
    databaseFailures = 0;
    const due = pending.filter(({ dueAt }) => dueAt <= now);
    const isNew = ({ experimentId }: PendingRefresh) => !queue.isQueued(experimentId) && !queue.isRunning(experimentId);
    const found = due.filter(isNew);
    // A request of a running refresh may have arrived since it began.
    const isRepeated = ({ experimentId, dueAt }: PendingRefresh) =>
      dueAt !== REFRESH_BEGUN && queue.isRunning(experimentId);
    hasMore = due.length === limit || found.length > PAGE_SIZE || due.some(isRepeated);
    const request = { now: clock(), until: Number.POSITIVE_INFINITY, isUrgent: false };
    for (const { experimentId } of found.slice(0, PAGE_SIZE)) void queue.add(experimentId, request);
    const next = pending[due.length]?.dueAt ?? null;
    return due.length === 0 ? next : Math.min(next ?? Number.POSITIVE_INFINITY, clock() + CHECK_MS);
  }

  return {
    async wake(urgentId) {
      const now = clock();
      if (urgentId !== null) void queue.add(urgentId, { now, until: Number.POSITIVE_INFINITY, isUrgent: true });
      // Even if it is set for a time that has passed: after the clock jumped ahead, that alarm may still take a while.
      await serially(alarm.set, now);
    },
    onAlarm,
    refreshSlice,
    stop: queue.stop,
  };
}
