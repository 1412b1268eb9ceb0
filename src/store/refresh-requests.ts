import { type Database, flagOf, numberOrNull, type Row, runOnPrimary, type Statement, textOf } from "./database.ts";
import { inScope, type Scope } from "./experiment-row.ts";

// A refresh request is stored first, so that no crash can lose it. The next sweep serves the requests still pending.

const STARTED_NOT_FINAL = "started_at <= ?1 AND is_final = 0";

/** A refresh of numbers that may still change, or a recount of final ones. */
export const manualRequests = ["refresh", "recount"] as const;
export type ManualRequest = (typeof manualRequests)[number];

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
  const isPossible = request === "refresh" ? STARTED_NOT_FINAL : "is_final = 1";
  const [recorded, found] = await database.transact(
    [
      {
        sql: `UPDATE experiments SET refresh_requested_at = ?1, manually_requested_at = ?1, version = version + 1
      WHERE id = ?2 AND ${inScope("?4")} AND ${isPossible}
        AND (manually_requested_at IS NULL OR manually_requested_at <= ?1 - ?3 OR manually_requested_at > ?1)
      RETURNING id`,
        values: [now, experimentId, minIntervalMs, scope],
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
  const reason = request === "refresh" ? skipReason(row, now) : flagOf(row, "is_final") ? null : "not_final";
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
  /** The experiments in scope with a pending request: the accepted ones, and those of an earlier delivery. */
  pending: string[];
};

/**
 * Records a refresh request for every started experiment in scope that is not final.
 * @param delivery the id of a signed webhook; a repeated delivery changes nothing
 */
export async function recordWebhook(
  database: Database,
  scope: WebhookScope,
  now: number,
  delivery: string | null,
): Promise<WebhookOutcome> {
  const receipt = crypto.randomUUID();
  const [isInScope, values] = scopeSql(scope);
  const isNew = delivery === null ? "1" : "EXISTS (SELECT 1 FROM webhook_deliveries WHERE receipt = ?2)";
  const statements: Statement[] = [
    {
      sql: `UPDATE experiments SET refresh_requested_at = ?1, version = version + 1
      WHERE ${isInScope} AND ${STARTED_NOT_FINAL} AND ${isNew} RETURNING id`,
      values: [now, receipt, ...values],
    },
    {
      sql: `SELECT id, started_at, is_final, refresh_requested_at FROM experiments WHERE ${isInScope} ORDER BY id`,
      values: [now, receipt, ...values],
    },
  ];
  if (delivery !== null) {
    statements.unshift({
      sql: "INSERT INTO webhook_deliveries (id, received_at, receipt) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      values: [delivery, now, receipt],
    });
  }
  const results = await database.transact(statements, "experimentId" in scope ? [scope.experimentId] : "any");
  const accepted = new Set((results.at(-2) ?? []).map((row) => textOf(row, "id")));
  const found = results.at(-1) ?? [];
  if (found.length === 0 && "experimentId" in scope)
    return { accepted: [], skipped: [{ experimentId: scope.experimentId, reason: "not_found" }], pending: [] };
  const skipped: SkippedExperiment[] = [];
  const pending: string[] = [];
  for (const row of found) {
    const id = textOf(row, "id");
    if (row["refresh_requested_at"] !== null) pending.push(id);
    if (!accepted.has(id)) skipped.push({ experimentId: id, reason: skipReason(row, now) ?? "repeated" });
  }
  return { accepted: [...accepted].sort(), skipped, pending };
}

/** Lists the experiments with a pending refresh request. */
export async function listPendingRequests(database: Database): Promise<string[]> {
  const sql = "SELECT id FROM experiments WHERE refresh_requested_at IS NOT NULL ORDER BY id";
  return (await runOnPrimary(database, { sql, values: [] })).map((row) => textOf(row, "id"));
}

/** Deletes the ids of webhooks received before `before`, because their senders no longer retry. */
export async function deleteOldDeliveries(database: Database, before: number): Promise<void> {
  await runOnPrimary(database, { sql: "DELETE FROM webhook_deliveries WHERE received_at < ?", values: [before] });
}

function scopeSql(scope: WebhookScope): [sql: string, values: string[]] {
  if ("experimentId" in scope) return ["id = ?3", [scope.experimentId]];
  if ("featureName" in scope)
    return ["environment_key = ?3 AND feature_name = ?4", [scope.environmentKey, scope.featureName]];
  return ["environment_key = ?3", [scope.environmentKey]];
}

function skipReason(row: Row, now: number): "not_started" | "final" | null {
  const startedAt = numberOrNull(row, "started_at");
  if (startedAt === null || startedAt > now) return "not_started";
  return flagOf(row, "is_final") ? "final" : null;
}
