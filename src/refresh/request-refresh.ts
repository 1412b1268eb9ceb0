import { describeBug, type Log } from "../log.ts";
import { failed, ok, type Result } from "../result.ts";
import type { Settings } from "../settings.ts";
import type { Database } from "../store/database.ts";
import type { Scope } from "../store/experiment-row.ts";
import { type ManualRequest, recordManualRequest } from "../store/refresh-requests.ts";
import type { RefreshDispatcher } from "./dispatcher.ts";

/**
 * Wakes the dispatcher after a request was recorded. If it can't be reached, this is only logged, because the next sweep
 * serves every recorded request.
 * @param urgentId the experiment of a person's request
 */
export async function wakeDispatcher(dispatcher: RefreshDispatcher, log: Log, urgentId: string | null): Promise<void> {
  try {
    await dispatcher.wake(urgentId);
  } catch (error) {
    log("error", "dispatcher.unreachable", { error: describeBug(error) });
  }
}

export type ManualRefreshDeps = {
  database: Database;
  dispatcher: RefreshDispatcher;
  settings: Pick<Settings, "refreshMinIntervalMs">;
  clock: () => number;
};

/** The client or visitor who requests a refresh, and the log of the request. */
export type Requester = { caller: { name: string; environmentKey: Scope }; log: Log };

export type ManualRefreshFailure =
  | { kind: "not_found" }
  | { kind: "not_started" }
  | { kind: "final" }
  | { kind: "not_final" }
  | { kind: "too_soon"; retryAfterSeconds: number };

const LOG_EVENTS = { refresh: null, recount: "recount.requested", rebuild: "states.rebuild" } as const;

/** Requests a refresh, a rebuild or a recount on behalf of a client or visitor, and returns the time of the request. */
export async function requestManualRefresh(
  { database, dispatcher, settings, clock }: ManualRefreshDeps,
  { caller, log }: Requester,
  request: ManualRequest,
  id: string,
): Promise<Result<number, ManualRefreshFailure>> {
  const now = clock();
  const interval = settings.refreshMinIntervalMs;
  const outcome = await recordManualRequest(database, request, id, caller.environmentKey, now, interval);
  switch (outcome.kind) {
    case "accepted": {
      const event = LOG_EVENTS[request];
      if (event !== null) log("info", event, { experiment_id: id, by: caller.name });
      await wakeDispatcher(dispatcher, log, id);
      return ok(now);
    }
    case "too_soon":
      // The request before may have been cut off before it woke the dispatcher.
      if (outcome.pending) await wakeDispatcher(dispatcher, log, null);
      return failed({ kind: "too_soon", retryAfterSeconds: Math.max(1, Math.ceil((outcome.nextAt - now) / 1000)) });
    default:
      return failed(outcome);
  }
}
