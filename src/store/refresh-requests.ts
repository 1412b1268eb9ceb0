import {
  changing,
  type Database,
  flagOf,
  numberOrNull,
  primary,
  type Row,
  type Statement,
  textOf,
} from "./database.ts";
import { type Scope, within } from "./experiments.ts";

// A refresh that was asked for is first written down here, so that no crash can forget it: what nobody else takes up,
// the next sweep does.

const STARTED_NOT_FINAL = "started_at <= ?1 AND is_final = 0";

export type CallOutcome =
  | { kind: "accepted" }
  | { kind: "not_found" }
  | { kind: "not_started" }
  | { kind: "final" }
  /** `unserved`: the call before this one, or a hint since, still waits for its refresh. */
  | { kind: "too_soon"; nextAt: number; unserved: boolean };

/**
 * Notes a call for a refresh, unless one was noted less than `minIntervalMs` ago: decided and noted in one
 * transaction, so that of two calls at once only one passes.
 */
export async function noteCall(
  database: Database,
  experimentId: string,
  scope: Scope,
  now: number,
  minIntervalMs: number,
): Promise<CallOutcome> {
  const write = database.transact([
    {
      sql: `UPDATE experiments SET refresh_requested_at = ?1, called_at = ?1, version = version + 1
      WHERE id = ?2 AND ${within("?4")} AND ${STARTED_NOT_FINAL} AND (called_at IS NULL OR called_at <= ?1 - ?3 OR called_at > ?1)
      RETURNING id`,
      values: [now, experimentId, minIntervalMs, scope],
    },
    {
      sql: `SELECT started_at, is_final, called_at, refresh_requested_at FROM experiments
      WHERE id = ?1 AND ${within("?2")}`,
      values: [experimentId, scope],
    },
  ]);
  const [noted, found] = await changing(database, [experimentId], write);
  if (noted?.[0] !== undefined) return { kind: "accepted" };
  const row = found?.[0];
  if (row === undefined) return { kind: "not_found" };
  const refused = refusalOf(row, now);
  if (refused !== null) return { kind: refused };
  const nextAt = (numberOrNull(row, "called_at") ?? now) + minIntervalMs;
  return { kind: "too_soon", nextAt, unserved: row["refresh_requested_at"] !== null };
}

/** Which experiments a webhook speaks of. */
export type HintScope =
  | { experimentId: string }
  | { environmentKey: string; featureName: string }
  | { environmentKey: string };

export type Skipped = { experimentId: string; reason: "not_found" | "not_started" | "final" | "repeated" };

export type HintOutcome = {
  accepted: string[];
  skipped: Skipped[];
  /** The experiments in the scope that wait for a refresh: those accepted, and those of a delivery before it. */
  unserved: string[];
};

/**
 * Notes a refresh for every started experiment in the scope that is not final.
 * @param delivery the id of a signed webhook: one that was noted before changes nothing.
 */
export async function noteHint(
  database: Database,
  scope: HintScope,
  now: number,
  delivery: string | null,
): Promise<HintOutcome> {
  const receipt = crypto.randomUUID();
  const [inScope, values] = scopeSql(scope);
  const first = delivery === null ? "1" : "EXISTS (SELECT 1 FROM webhook_deliveries WHERE receipt = ?2)";
  const statements: Statement[] = [
    {
      sql: `UPDATE experiments SET refresh_requested_at = ?1, version = version + 1
      WHERE ${inScope} AND ${STARTED_NOT_FINAL} AND ${first} RETURNING id`,
      values: [now, receipt, ...values],
    },
    {
      sql: `SELECT id, started_at, is_final, refresh_requested_at FROM experiments WHERE ${inScope} ORDER BY id`,
      values: [now, receipt, ...values],
    },
  ];
  if (delivery !== null) {
    statements.unshift({
      sql: "INSERT INTO webhook_deliveries (id, received_at, receipt) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      values: [delivery, now, receipt],
    });
  }
  const changed = "experimentId" in scope ? [scope.experimentId] : null;
  const results = await changing(database, changed, database.transact(statements));
  const accepted = new Set((results.at(-2) ?? []).map((row) => textOf(row, "id")));
  const found = results.at(-1) ?? [];
  if (found.length === 0 && "experimentId" in scope)
    return { accepted: [], skipped: [{ experimentId: scope.experimentId, reason: "not_found" }], unserved: [] };
  const skipped: Skipped[] = [];
  const unserved: string[] = [];
  for (const row of found) {
    const id = textOf(row, "id");
    if (row["refresh_requested_at"] !== null) unserved.push(id);
    if (!accepted.has(id)) skipped.push({ experimentId: id, reason: refusalOf(row, now) ?? "repeated" });
  }
  return { accepted: [...accepted].sort(), skipped, unserved };
}

/** The experiments for which a refresh was asked for and none has served it yet. */
export async function listUnserved(database: Database): Promise<string[]> {
  const sql = "SELECT id FROM experiments WHERE refresh_requested_at IS NOT NULL ORDER BY id";
  return (await primary(database, { sql, values: [] })).map((row) => textOf(row, "id"));
}

/** Forgets webhooks that came before `before`: their senders have long stopped trying. */
export async function forgetDeliveries(database: Database, before: number): Promise<void> {
  await primary(database, { sql: "DELETE FROM webhook_deliveries WHERE received_at < ?", values: [before] });
}

function scopeSql(scope: HintScope): [sql: string, values: string[]] {
  if ("experimentId" in scope) return ["id = ?3", [scope.experimentId]];
  if ("featureName" in scope)
    return ["environment_key = ?3 AND feature_name = ?4", [scope.environmentKey, scope.featureName]];
  return ["environment_key = ?3", [scope.environmentKey]];
}

function refusalOf(row: Row, now: number): "not_started" | "final" | null {
  const startedAt = numberOrNull(row, "started_at");
  if (startedAt === null || startedAt > now) return "not_started";
  return flagOf(row, "is_final") ? "final" : null;
}
