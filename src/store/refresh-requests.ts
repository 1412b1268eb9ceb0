import {
  type Database,
  flagOf,
  numberOf,
  numberOrNull,
  type Row,
  runOnPrimary,
  type Statement,
  textOf,
} from "./database.ts";
import { inScope, type Scope } from "./experiment-row.ts";

// A refresh request is stored first, so that no crash can lose it. The rows with a refresh_due_at are the queue of requests
// and retries.

/**
 * The due time of a request whose refresh has begun. It stays due until the refresh has stored its outcome. A request that
 * arrives meanwhile gets another due time, so that the refresh does not clear it.
 */
export const REFRESH_BEGUN = 0;

const STARTED_NOT_FINAL = "started_at <= ?1 AND is_final = 0";

/** A refresh of numbers that may still change, or a recount of final ones. */
export const manualRequests = ["refresh", "recount"] as const;
/** `rebuild`: a refresh with new states. */
export type ManualRequest = (typeof manualRequests)[number] | "rebuild";

export type ManualRequestOutcome =
  | { kind: "accepted" }
  | { kind: "not_found" }
  | { kind: "not_started" }
  | { kind: "final" }
  | { kind: "not_final" }
  /** `pending`: an earlier request has not been served yet. */
  | { kind: "too_soon"; nextAt: number; pending: boolean };

/**
 * Records a manual request, unless one was recorded less than `minIntervalMs` ago. One transaction checks and
 * writes, so that only one of two simultaneous requests is accepted.
 */
export async function recordManualRequest(
  database: Database,
  request: ManualRequest,
  experimentId: string,
  scope: Scope,
  now: number,
  minIntervalMs: number,
): Promise<ManualRequestOutcome> {
  const isPossible = request === "recount" ? "is_final = 1" : STARTED_NOT_FINAL;
  const [recorded, found] = await database.transact(
    [
      {
        sql: `UPDATE experiments SET refresh_requested_at = ?1, refresh_due_at = ?1, interval_started_at = ?1,
        manually_requested_at = ?1, rebuild_requested = rebuild_requested OR ?5, version = version + 1
      WHERE id = ?2 AND ${inScope("?4")} AND ${isPossible}
        AND (manually_requested_at IS NULL OR manually_requested_at <= ?1 - ?3 OR manually_requested_at > ?1)
      RETURNING id`,
        values: [now, experimentId, minIntervalMs, scope, request === "rebuild" ? 1 : 0],
      },
      {
        sql: `SELECT started_at, is_final, manually_requested_at, refresh_requested_at FROM experiments
      WHERE id = ?1 AND ${inScope("?2")}`,
        values: [experimentId, scope],
      },
    ],
    [experimentId],
  );
  if (recorded?.[0] !== undefined) return { kind: "accepted" };
  const row = found?.[0];
  if (row === undefined) return { kind: "not_found" };
  const reason = request !== "recount" ? skipReason(row, now) : flagOf(row, "is_final") ? null : "not_final";
  if (reason !== null) return { kind: reason };
  const nextAt = (numberOrNull(row, "manually_requested_at") ?? now) + minIntervalMs;
  return { kind: "too_soon", nextAt, pending: row["refresh_requested_at"] !== null };
}

/** The experiments that a webhook concerns. */
export type WebhookScope =
  | { experimentId: string }
  | { environmentKey: string; featureName: string }
  | { environmentKey: string };

export type SkippedExperiment = { experimentId: string; reason: "not_found" | "not_started" | "final" | "repeated" };

export type WebhookOutcome = {
  accepted: string[];
  skipped: SkippedExperiment[];
  /** True if an experiment in scope has a pending request, perhaps of an earlier delivery. */
  isPending: boolean;
};

/** A condition: a request is pending, and the refresh that will serve it has not begun. */
const WILL_BE_SERVED = `(refresh_requested_at IS NOT NULL AND coalesce(refresh_due_at, ${REFRESH_BEGUN}) != ${REFRESH_BEGUN})`;
/** The end of the minimum interval, but not before ?1. The interval starts at ?1 at the latest, in case a clock was ahead. */
const INTERVAL_END = "coalesce(max(?1, min(interval_started_at, ?1) + ?3), ?1)";
const OTHER_DUE_AT = `nullif(refresh_due_at, ${REFRESH_BEGUN})`;

/**
 * Records a refresh request for every started experiment in scope that is not final. It is due at the end of the minimum
 * interval. Nothing is written where a request is pending already, unless its refresh has begun.
 * @param delivery the id of a signed webhook; a repeated delivery changes nothing
 */
export async function recordWebhook(
  database: Database,
  scope: WebhookScope,
  now: number,
  minIntervalMs: number,
  delivery: string | null,
): Promise<WebhookOutcome> {
  const receipt = crypto.randomUUID();
  const [isInScope, scopeValues] = scopeSql(scope);
  const values = [now, receipt, minIntervalMs, ...scopeValues];
  const isNew = delivery === null ? "1" : "EXISTS (SELECT 1 FROM webhook_deliveries WHERE receipt = ?2)";
  const statements: Statement[] = [
    {
      sql: `UPDATE experiments SET refresh_requested_at = ?1, version = version + 1,
        refresh_due_at = coalesce(min(${OTHER_DUE_AT}, ${INTERVAL_END}), ${INTERVAL_END}),
        interval_started_at = CASE WHEN ${OTHER_DUE_AT} < ${INTERVAL_END} THEN interval_started_at ELSE ${INTERVAL_END} END
      WHERE ${isInScope} AND ${STARTED_NOT_FINAL} AND ${isNew} AND NOT ${WILL_BE_SERVED}`,
      values,
    },
    {
      sql: `SELECT id, started_at, is_final, refresh_requested_at, ${isNew} AS is_new FROM experiments
      WHERE ${isInScope} ORDER BY id`,
      values,
    },
  ];
  if (delivery !== null) {
    statements.unshift({
      sql: "INSERT INTO webhook_deliveries (id, received_at, receipt) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      values: [delivery, now, receipt],
    });
  }
  const results = await database.transact(statements, "experimentId" in scope ? [scope.experimentId] : "any");
  const found = results.at(-1) ?? [];
  if (found.length === 0 && "experimentId" in scope)
    return { accepted: [], skipped: [{ experimentId: scope.experimentId, reason: "not_found" }], isPending: false };
  const outcome: WebhookOutcome = { accepted: [], skipped: [], isPending: false };
  for (const row of found) {
    const experimentId = textOf(row, "id");
    const reason = skipReason(row, now) ?? (flagOf(row, "is_new") ? null : "repeated");
    if (reason === null) outcome.accepted.push(experimentId);
    else outcome.skipped.push({ experimentId, reason });
    outcome.isPending ||= row["refresh_requested_at"] !== null;
  }
  return outcome;
}

export type PendingRefresh = {
  experimentId: string;
  /** The time at which the request or retry is due. `REFRESH_BEGUN`: its refresh has begun and stored no outcome yet. */
  dueAt: number;
};

/** Lists the pending refreshes that are due first. */
export async function listPendingRefreshes(database: Database, limit: number): Promise<PendingRefresh[]> {
  const rows = await runOnPrimary(database, {
    sql: `SELECT id, refresh_due_at FROM experiments WHERE refresh_due_at IS NOT NULL
    ORDER BY refresh_due_at, id LIMIT ?`,
    values: [limit],
  });
  return rows.map((row) => ({ experimentId: textOf(row, "id"), dueAt: numberOf(row, "refresh_due_at") }));
}

/** Deletes the ids of webhooks received before `before`, because their senders no longer retry. */
export async function deleteOldDeliveries(database: Database, before: number): Promise<void> {
  await runOnPrimary(database, { sql: "DELETE FROM webhook_deliveries WHERE received_at < ?", values: [before] });
}

function scopeSql(scope: WebhookScope): [sql: string, values: string[]] {
  if ("experimentId" in scope) return ["id = ?4", [scope.experimentId]];
  if ("featureName" in scope)
    return ["environment_key = ?4 AND feature_name = ?5", [scope.environmentKey, scope.featureName]];
  return ["environment_key = ?4", [scope.environmentKey]];
}

function skipReason(row: Row, now: number): "not_started" | "final" | null {
  const startedAt = numberOrNull(row, "started_at");
  if (startedAt === null || startedAt > now) return "not_started";
  return flagOf(row, "is_final") ? "final" : null;
}
