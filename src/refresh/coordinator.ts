import { type Alarm, setAlarmBy } from "../alarm.ts";
import { type Backoff, retryDelay } from "../backoff.ts";
import { describeBug, type Log } from "../log.ts";
import { DatabaseUnavailable } from "../store/database.ts";
import type { RefreshOutcome, RefreshTrigger } from "./coordinator-types.ts";

/** The durable state of a coordinator. */
export type CoordinatorState = {
  /** Failed refreshes in a row. */
  failures: number;
  /** The due time of the newest manual request or webhook, in epoch milliseconds. The minimum interval starts then. */
  lastRequestDueAt: number | null;
};

export type CoordinatorDeps = {
  experimentId: string;
  /** Runs one refresh. It is never called again before it has ended. */
  refresh: (now: number) => Promise<RefreshOutcome>;
  alarm: Alarm;
  storage: {
    load(): Promise<CoordinatorState | null>;
    save(state: CoordinatorState): Promise<void>;
    clear(): Promise<void>;
  };
  minIntervalMs: number;
  clock: () => number;
  random: () => number;
  log: Log;
};

export type Coordinator = {
  /** Refreshes, or joins the refresh queued behind the one in flight, and returns its outcome. Never throws. */
  refresh(now: number): Promise<RefreshOutcome>;
  /** Resolves once the refresh is certain to happen. */
  request(trigger: RefreshTrigger): Promise<void>;
  /** Handles the alarm. */
  onAlarm(): Promise<void>;
};

/** When the retries are used up, the next sweep takes over. */
export const REFRESH_RETRIES: Backoff = { firstMs: 5_000, factor: 3, maxMs: 300_000, maxRetries: 5 };

/**
 * Serialises the refreshes of one experiment: never two at once. Callers that arrive during a refresh share the next one,
 * because the one in flight may have queried the warehouse too early for them.
 */
export function createCoordinator(deps: CoordinatorDeps): Coordinator {
  let inFlight: Promise<RefreshOutcome> | null = null;
  let queued: { now: number; outcome: Promise<RefreshOutcome> } | null = null;
  /** Shows a refresh whether a request arrived after it began. */
  let requestCount = 0;
  /** Loaded once. Every change is saved immediately. */
  let state: Promise<CoordinatorState> | null = null;

  function refresh(now: number): Promise<RefreshOutcome> {
    if (inFlight === null) {
      inFlight = attempt(now).finally(() => {
        inFlight = null;
      });
      return inFlight;
    }
    queued ??= { now, outcome: inFlight.then(startQueued) };
    queued.now = Math.max(queued.now, now);
    return queued.outcome;
  }

  function startQueued(): Promise<RefreshOutcome> {
    const now = queued?.now ?? deps.clock();
    queued = null;
    return refresh(now);
  }

  async function attempt(now: number): Promise<RefreshOutcome> {
    const requestsBefore = requestCount;
    const outcome = await deps.refresh(now).catch(failUnexpectedly);
    await afterRefresh(outcome, requestsBefore).catch(failUnexpectedly);
    return outcome;
  }

  async function afterRefresh(outcome: RefreshOutcome, requestsBefore: number): Promise<void> {
    const isOver = outcome.status === "skipped" && (outcome.reason === "not_found" || outcome.reason === "final");
    if (isOver && requestCount === requestsBefore) {
      state = null;
      await deps.alarm.clear();
      return deps.storage.clear();
    }
    const current = await loadState();
    const failures = outcome.status === "failed" && outcome.transient ? current.failures + 1 : 0;
    const delay = failures === 0 ? null : retryDelay(failures, deps.random(), REFRESH_RETRIES);
    // After the last retry the count starts again: the next sweep has all its retries.
    current.failures = delay === null ? 0 : failures;
    if (delay === null && requestCount === requestsBefore && current.lastRequestDueAt !== null) {
      // A postponed webhook has been served early, so the interval starts now instead of at its due time.
      current.lastRequestDueAt = Math.min(current.lastRequestDueAt, deps.clock());
    }
    await deps.storage.save(current);
    if (delay !== null) await setAlarmBy(deps.alarm, deps.clock() + delay);
    // An alarm set since the refresh began stays: its request has not been served yet.
    else if (requestCount === requestsBefore) await deps.alarm.clear();
  }

  async function request(trigger: RefreshTrigger): Promise<void> {
    requestCount += 1;
    const current = await loadState();
    const now = deps.clock();
    const earliest =
      trigger === "webhook" && current.lastRequestDueAt !== null
        ? Math.min(current.lastRequestDueAt, now) + deps.minIntervalMs
        : now;
    const due = Math.max(now, earliest);
    const isSet = await setAlarmBy(deps.alarm, due);
    // Neither an edit nor a postponed webhook that joins an earlier alarm starts an interval.
    if (trigger === "edit" || (due > now && !isSet)) return;
    current.lastRequestDueAt = due;
    await deps.storage.save(current);
  }

  function loadState(): Promise<CoordinatorState> {
    const load = async () => (await deps.storage.load()) ?? { failures: 0, lastRequestDueAt: null };
    state ??= load().catch((error: unknown) => {
      state = null;
      throw error;
    });
    return state;
  }

  async function onAlarm(): Promise<void> {
    await refresh(deps.clock());
  }

  function failUnexpectedly(error: unknown): RefreshOutcome {
    const kind = error instanceof DatabaseUnavailable ? "storage" : "bug";
    deps.log("error", "refresh.failed", {
      experiment_id: deps.experimentId,
      kind,
      transient: true,
      error: describeBug(error),
    });
    return { status: "failed", kind, transient: true };
  }

  return { refresh, request, onAlarm };
}
