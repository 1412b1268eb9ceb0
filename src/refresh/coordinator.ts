import { describeBug, type Log } from "../log.ts";
import { DatabaseUnavailable } from "../store/database.ts";
import { retryDelay } from "../backoff.ts";
import type { RefreshOutcome } from "./outcome.ts";

/** What a coordinator remembers between its wakings, kept where no crash can take it. */
export type Memory = {
  /** Failed tries in a row. */
  failures: number;
  /** When the newest call or hint was due, in epoch milliseconds: the next hint keeps its distance. */
  lastAskedAt: number | null;
};

/** Wakes whom it belongs to at a time, at least once, through crashes and restarts. One time: setting replaces it. */
export type Alarm = { get(): Promise<number | null>; set(at: number): Promise<void>; clear(): Promise<void> };

export type CoordinatorDeps = {
  experimentId: string;
  /** The one who does it; never called again before it has ended. */
  refresh: (now: number) => Promise<RefreshOutcome>;
  alarm: Alarm;
  memory: { load(): Promise<Memory | null>; save(memory: Memory): Promise<void>; clear(): Promise<void> };
  minIntervalMs: number;
  clock: () => number;
  random: () => number;
  log: Log;
};

/**
 * Who asks, and so when: an edit or a call of the API as soon as possible, a webhook's hint not before the minimum
 * interval since the last call or hint is over.
 */
export type Ask = "edit" | "call" | "hint";

export type Coordinator = {
  /** Refreshes, or shares the refresh that follows the one under way, and tells how it ended. Never throws. */
  refresh(now: number): Promise<RefreshOutcome>;
  /** Resolves once the refresh is bound to happen. */
  ask(ask: Ask): Promise<void>;
  /** To be called when the alarm goes off. */
  wake(): Promise<void>;
};

/**
 * Keeps the refreshes of one experiment in line: never two at once, and whoever comes while one is under way shares
 * the one that follows, because the one under way may have asked the warehouse too early for them.
 */
export function createCoordinator(deps: CoordinatorDeps): Coordinator {
  let underWay: Promise<RefreshOutcome> | null = null;
  let following: { now: number; outcome: Promise<RefreshOutcome> } | null = null;
  /** Counts asks, so that a refresh knows whether one came after it began. */
  let asks = 0;
  /** Read once; whoever changes it writes it at once. */
  let memory: Promise<Memory> | null = null;

  function refresh(now: number): Promise<RefreshOutcome> {
    if (underWay === null) {
      underWay = attempt(now).finally(() => {
        underWay = null;
      });
      return underWay;
    }
    following ??= { now, outcome: underWay.then(startFollowing) };
    following.now = Math.max(following.now, now);
    return following.outcome;
  }

  function startFollowing(): Promise<RefreshOutcome> {
    const now = following?.now ?? deps.clock();
    following = null;
    return refresh(now);
  }

  async function attempt(now: number): Promise<RefreshOutcome> {
    const asksBefore = asks;
    const outcome = await deps.refresh(now).catch(unexpected);
    await settle(outcome, asksBefore).catch(unexpected);
    return outcome;
  }

  async function settle(outcome: RefreshOutcome, asksBefore: number): Promise<void> {
    const over = outcome.status === "skipped" && (outcome.reason === "not_found" || outcome.reason === "final");
    if (over && asks === asksBefore) {
      memory = null;
      await deps.alarm.clear();
      return deps.memory.clear();
    }
    const remembered = await recall();
    const failures = outcome.status === "failed" && outcome.transient ? remembered.failures + 1 : 0;
    const delay = failures === 0 ? null : retryDelay(failures, deps.random());
    // After the last retry the count starts anew: the next sweep is a new beginning.
    remembered.failures = delay === null ? 0 : failures;
    if (delay === null && asks === asksBefore && remembered.lastAskedAt !== null) {
      // A hint that was put off has been served early: the interval starts now, and not when it was due.
      remembered.lastAskedAt = Math.min(remembered.lastAskedAt, deps.clock());
    }
    await deps.memory.save(remembered);
    if (delay !== null) await wakeBy(deps.clock() + delay);
    // An alarm that was set for an ask since the refresh began stays: that ask is not served yet.
    else if (asks === asksBefore) await deps.alarm.clear();
  }

  async function ask(ask: Ask): Promise<void> {
    asks += 1;
    const remembered = await recall();
    const now = deps.clock();
    const distance =
      ask === "hint" && remembered.lastAskedAt !== null
        ? Math.min(remembered.lastAskedAt, now) + deps.minIntervalMs
        : now;
    const due = Math.max(now, distance);
    const set = await wakeBy(due);
    // An edit starts no interval, nor does a hint that was put off and goes along with an earlier one.
    if (ask === "edit" || (due > now && !set)) return;
    remembered.lastAskedAt = due;
    await deps.memory.save(remembered);
  }

  function recall(): Promise<Memory> {
    const load = async () => (await deps.memory.load()) ?? { failures: 0, lastAskedAt: null };
    memory ??= load().catch((error: unknown) => {
      memory = null;
      throw error;
    });
    return memory;
  }

  /** True if the alarm had to be set for it, false if it will go off by then anyway. */
  async function wakeBy(at: number): Promise<boolean> {
    const set = await deps.alarm.get();
    if (set !== null && set <= at) return false;
    await deps.alarm.set(at);
    return true;
  }

  async function wake(): Promise<void> {
    await refresh(deps.clock());
  }

  function unexpected(error: unknown): RefreshOutcome {
    const kind = error instanceof DatabaseUnavailable ? "storage" : "bug";
    deps.log("error", "refresh.failed", {
      experiment_id: deps.experimentId,
      kind,
      transient: true,
      error: describeBug(error),
    });
    return { status: "failed", kind, transient: true };
  }

  return { refresh, ask, wake };
}
