import type { Refresh, RefreshOutcome } from "./refresh-outcome.ts";

export type RefreshRequest = {
  /** The as-of time of the numbers. */
  now: number;
  /** The time from which the refresh is not started any more. */
  until: number;
  /** Urgent refreshes start before all others. */
  isUrgent: boolean;
};

export type RefreshQueue = {
  /** Queues a refresh, or joins the one that is queued. Resolves to null if it was not started in time. */
  add(experimentId: string, request: RefreshRequest): Promise<RefreshOutcome | null>;
  isQueued(experimentId: string): boolean;
  isRunning(experimentId: string): boolean;
  /** The number of refreshes that are queued but not running. */
  length(): number;
  /** Starts no more refreshes, and resolves when the running ones have ended. */
  stop(): Promise<void>;
};

/** The outcome of a refresh that was not started because the process ends. Its request stays in the database. */
const STOPPED: RefreshOutcome = { status: "skipped", reason: "superseded" };

type Job = PromiseWithResolvers<RefreshOutcome | null> & { now: number; until: number };

/**
 * Runs refreshes, at most `concurrency` at once and one per experiment. An experiment is queued at most once, behind the
 * refresh that may be running, because that one may have queried the warehouse too early.
 * @param refresh never throws
 */
export function createRefreshQueue(concurrency: number, clock: () => number, refresh: Refresh): RefreshQueue {
  const urgent = new Map<string, Job>();
  const others = new Map<string, Job>();
  const running = new Map<string, Promise<void>>();
  let isStopped = false;

  async function add(experimentId: string, { now, until, isUrgent }: RefreshRequest): Promise<RefreshOutcome | null> {
    if (isStopped) return STOPPED;
    const job = urgent.get(experimentId) ?? others.get(experimentId) ?? { now, until, ...Promise.withResolvers() };
    job.now = Math.max(job.now, now);
    job.until = Math.max(job.until, until);
    if (isUrgent || urgent.has(experimentId)) {
      others.delete(experimentId);
      urgent.set(experimentId, job);
    } else {
      others.set(experimentId, job);
    }
    startNext();
    return job.promise;
  }

  function startNext(): void {
    for (const queue of [urgent, others]) {
      for (const [experimentId, job] of queue) {
        if (running.size >= concurrency) return;
        if (running.has(experimentId)) continue;
        queue.delete(experimentId);
        if (clock() >= job.until) job.resolve(null);
        else running.set(experimentId, run(experimentId, job));
      }
    }
  }

  async function run(experimentId: string, job: Job): Promise<void> {
    const outcome = await refresh(experimentId, job.now);
    running.delete(experimentId);
    startNext();
    job.resolve(outcome);
  }

  return {
    add,
    isQueued: (experimentId) => urgent.has(experimentId) || others.has(experimentId),
    isRunning: (experimentId) => running.has(experimentId),
    length: () => urgent.size + others.size,
    async stop() {
      isStopped = true;
      for (const queue of [urgent, others]) {
        for (const job of queue.values()) job.resolve(STOPPED);
        queue.clear();
      }
      await Promise.all(running.values());
    },
  };
}
