import pLimit from "p-limit";
import { describeBug, type Log } from "../log.ts";
import { failed, ok, type Result } from "../result.ts";
import type { Database } from "../store/database.ts";
import type { Scope } from "../store/experiment-row.ts";
import { type ManualRequest, recordManualRequest } from "../store/refresh-requests.ts";
import type { Coordinators, RefreshTrigger } from "./coordinator-types.ts";

/** The number of connections that a Worker may open at once. */
const MAX_CONCURRENT = 6;

/**
 * Passes recorded refresh requests on to their coordinators. An unreachable coordinator is only logged, because the next
 * sweep serves every recorded request.
 */
export async function notifyCoordinators(
  coordinators: Coordinators,
  log: Log,
  experimentIds: readonly string[],
  trigger: RefreshTrigger,
): Promise<void> {
  await pLimit(MAX_CONCURRENT).map(experimentIds, async (experimentId) => {
    try {
      await coordinators.request(experimentId, trigger);
    } catch (error) {
      log("error", "coordinator.unreachable", { experiment_id: experimentId, error: describeBug(error) });
    }
  });
}

export type ManualRefreshDeps = {
  database: Database;
  coordinators: Coordinators;
  minIntervalMs: number;
  clock: () => number;
};

export type ManualRefreshFailure =
  | { kind: "not_found" }
  | { kind: "not_started" }
  | { kind: "final" }
  | { kind: "not_final" }
  | { kind: "too_soon"; retryAfterSeconds: number };

/** Requests a refresh or a recount on behalf of a client or visitor, and returns the time of the request. */
export async function requestManualRefresh(
  { database, coordinators, minIntervalMs, clock }: ManualRefreshDeps,
  log: Log,
  request: ManualRequest,
  id: string,
  scope: Scope,
): Promise<Result<number, ManualRefreshFailure>> {
  const now = clock();
  const outcome = await recordManualRequest(database, request, id, scope, now, minIntervalMs);
  switch (outcome.kind) {
    case "accepted":
      await notifyCoordinators(coordinators, log, [id], "manual");
      return ok(now);
    case "too_soon":
      // The request before may have been cut off before its coordinator was notified.
      if (outcome.pending) await notifyCoordinators(coordinators, log, [id], "webhook");
      return failed({ kind: "too_soon", retryAfterSeconds: Math.max(1, Math.ceil((outcome.nextAt - now) / 1000)) });
    default:
      return failed(outcome);
  }
}
