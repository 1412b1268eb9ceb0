import type { HealthHistory } from "../exposures/health-history.ts";
import { type ResultHistory, resultHistoryText } from "../results/result-history.ts";
import { type Alert, alertStatement, historyStatement } from "./alerts.ts";
import { type Database, numberOf, runOnPrimary, type Statement } from "./database.ts";
import { type RefreshBasis, SAME_DEFINITION, sameDefinitionValues } from "./refresh-basis.ts";
import { successStatement } from "./refresh-failures.ts";
import { REFRESH_BEGUN } from "./refresh-requests.ts";

export type ComputedSummary = {
  asOf: number;
  computedAt: number;
  isFinal: boolean;
  /** The identities in the summary, excluded ones included. */
  identities: number;
  /** True if there was no exposure in the 30 days before `asOf`. */
  isIdle: boolean;
  /** The `exposures` object as JSON text. */
  exposures: string;
  healthHistory: HealthHistory;
  resultHistory: ResultHistory;
  alerts: readonly Alert[];
  results: ComputedResults;
};

/** The counts behind the results, as JSON text; `failed`: the stored ones stay, with the time of the error; null: they stay. */
export type ComputedResults = { counted: string } | "failed" | null;

/**
 * The changes, in SQL, after a refresh whose request is served. A request that arrived since it began remains, unless the
 * refresh made the numbers final: no refresh follows it then.
 */
function servedRequest(isFinal: string, endedAt: string): string {
  const remains = `refresh_due_at != ${REFRESH_BEGUN} AND (is_final OR NOT ${isFinal})`;
  return `failures = 0,
      refresh_requested_at = CASE WHEN ${remains} THEN refresh_requested_at END,
      refresh_due_at = CASE WHEN ${remains} THEN refresh_due_at END,
      interval_started_at = CASE WHEN ${remains} THEN interval_started_at ELSE min(interval_started_at, ${endedAt}) END`;
}

/**
 * Stores a summary with its alerts and results. It clears the last error and the request that the refresh has served.
 *
 * Returns false, and stores nothing, if the result comes too late: the experiment is deleted, redefined, final without a
 * request to recount it, or has a newer summary.
 */
export async function saveSummary(database: Database, basis: RefreshBasis, summary: ComputedSummary): Promise<boolean> {
  const { asOf, computedAt, isFinal, identities, isIdle, exposures } = summary;
  const isInTime = `${SAME_DEFINITION} AND (as_of IS NULL OR as_of <= ?8 OR as_of > ended_at)`;
  const values = [...sameDefinitionValues(basis.experiment), asOf];
  const isStored = `EXISTS (SELECT 1 FROM experiments WHERE ${isInTime})`;
  const payload: Statement = {
    sql: `INSERT INTO summaries (experiment_id, exposures) SELECT id, ?9 FROM experiments WHERE ${isInTime}
    ON CONFLICT (experiment_id) DO UPDATE SET exposures = excluded.exposures`,
    values: [...values, exposures],
  };
  const update: Statement = {
    sql: `UPDATE experiments SET as_of = ?8, computed_at = max(?9, coalesce(computed_at, ?9)), is_final = ?10,
      identities = ?11, is_idle = ?12, last_error_at = NULL, ${servedRequest("?10", "?9")}, version = version + 1
    WHERE ${isInTime}
    RETURNING id`,
    values: [...values, computedAt, isFinal ? 1 : 0, identities, isIdle ? 1 : 0],
  };
  const { id } = basis.experiment;
  const statements = [
    ...historyStatements(basis, summary, isInTime, values),
    ...summary.alerts.map((alert) => alertStatement(alert, computedAt, isStored, values)),
    successStatement(id),
    payload,
    ...resultsStatements(summary, isInTime, values),
    update,
  ];
  const rows = await database.transact(statements, [id]);
  return (rows.at(-1) ?? []).length > 0;
}

/** Statements for the histories that have changed. */
function historyStatements(
  basis: RefreshBasis,
  summary: ComputedSummary,
  condition: string,
  values: Statement["values"],
): Statement[] {
  const health = JSON.stringify(summary.healthHistory);
  const results = resultHistoryText(summary.resultHistory);
  const statements: Statement[] = [];
  if (health !== JSON.stringify(basis.healthHistory))
    statements.push(historyStatement("health_histories", health, condition, values));
  if (results !== resultHistoryText(basis.resultHistory))
    statements.push(historyStatement("result_histories", results, condition, values));
  return statements;
}

/**
 * @param condition on the numbered parameters of `values`, the last of which is `asOf`
 */
function resultsStatements(
  { results, computedAt }: ComputedSummary,
  condition: string,
  values: Statement["values"],
): Statement[] {
  if (results === null) return [];
  if (results === "failed")
    return [
      {
        sql: `INSERT INTO results (experiment_id, last_error_at) SELECT id, ?9 FROM experiments WHERE ${condition}
        ON CONFLICT (experiment_id) DO UPDATE SET last_error_at = excluded.last_error_at`,
        values: [...values, computedAt],
      },
    ];
  return [
    {
      sql: `INSERT INTO results (experiment_id, as_of, computed_at, counted)
      SELECT id, ?8, ?9, ?10 FROM experiments WHERE ${condition}
      ON CONFLICT (experiment_id) DO UPDATE SET as_of = excluded.as_of, last_error_at = NULL,
        computed_at = max(excluded.computed_at, coalesce(computed_at, 0)), counted = excluded.counted`,
      values: [...values, computedAt, results.counted],
    },
  ];
}

/**
 * Keeps the stored summary, because the count of this refresh is incomplete, and stores the time as that of an error. The
 * request is served, since a retry would count the same.
 *
 * Returns false, and stores nothing, if the summary has changed meanwhile, or if an edit allows replacing it.
 * @param isFinal whether the stored summary is final from now on
 */
export async function keepSummary(
  database: Database,
  basis: RefreshBasis,
  failedAt: number,
  isFinal: boolean,
): Promise<boolean> {
  const update = {
    sql: `UPDATE experiments SET last_error_at = ?8, is_final = ?9, ${servedRequest("?9", "?8")}, version = version + 1
    WHERE ${SAME_DEFINITION} AND as_of IS ?10 AND identities IS ?11
    RETURNING id`,
    values: [...sameDefinitionValues(basis.experiment), failedAt, isFinal ? 1 : 0, basis.asOf, basis.identities],
  };
  const { id } = basis.experiment;
  const [kept = []] = await database.transact([update, successStatement(id)], [id]);
  return kept.length > 0;
}

/** Returns the excluded identities in the stored summary; 0 without one. */
export async function getExcludedIdentities(database: Database, experimentId: string): Promise<number> {
  const sql = `SELECT json_extract(exposures, '$.excluded_identities') AS excluded FROM summaries WHERE experiment_id = ?`;
  const [row] = await runOnPrimary(database, { sql, values: [experimentId] });
  return row === undefined ? 0 : numberOf(row, "excluded");
}
