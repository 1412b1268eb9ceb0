import type { Definition, Experiment } from "../experiment.ts";
import { type HealthHistory, parseHealthHistory } from "../exposures/health-history.ts";
import { parseResultHistory, type ResultHistory, resultHistoryText } from "../results/result-history.ts";
import { type Alert, alertStatement, historyStatement } from "./alerts.ts";
import { type Database, flagOf, numberOf, numberOrNull, runOnPrimary, type Statement, textOrNull } from "./database.ts";
import { definitionValues, EXPERIMENT_COLUMNS, experimentOf, metricsText, NEEDS_REFRESH } from "./experiment-row.ts";
import { failureStatement, successStatement } from "./refresh-failures.ts";
import { REFRESH_BEGUN } from "./refresh-requests.ts";

/** The state at the start of a refresh. It is passed back with the outcome, so that nothing newer is overwritten. */
export type RefreshBasis = {
  experiment: Experiment;
  asOf: number | null;
  /** The identities in the stored summary, excluded ones included; null: any count may replace it. */
  identities: number | null;
  isFinal: boolean;
  /** True if the refresh serves a request: for final numbers, one to recount them. */
  isRequested: boolean;
  isRebuildRequested: boolean;
  manuallyRequestedAt: number | null;
  /** Transient failures in a row. */
  failures: number;
  healthHistory: HealthHistory;
  resultHistory: ResultHistory;
};

/** Begins a refresh: it takes over the pending request or retry. Returns null if there is no such experiment. */
export async function beginRefresh(database: Database, experimentId: string): Promise<RefreshBasis | null> {
  const [, found] = await database.transact([
    {
      sql: `UPDATE experiments SET refresh_due_at = ${REFRESH_BEGUN}
      WHERE id = ? AND (refresh_due_at != ${REFRESH_BEGUN} OR refresh_due_at IS NULL AND refresh_requested_at IS NOT NULL)`,
      values: [experimentId],
    },
    {
      sql: `SELECT ${EXPERIMENT_COLUMNS}, as_of, identities, is_final, refresh_requested_at, rebuild_requested,
        manually_requested_at, failures, health_histories.history AS health_history,
        result_histories.history AS result_history
      FROM experiments LEFT JOIN health_histories ON health_histories.experiment_id = id
        LEFT JOIN result_histories ON result_histories.experiment_id = id
      WHERE id = ?`,
      values: [experimentId],
    },
  ]);
  const row = found?.[0];
  if (row === undefined) return null;
  return {
    experiment: experimentOf(row),
    asOf: numberOrNull(row, "as_of"),
    identities: numberOrNull(row, "identities"),
    isFinal: flagOf(row, "is_final"),
    isRequested: row["refresh_requested_at"] !== null,
    isRebuildRequested: flagOf(row, "rebuild_requested"),
    manuallyRequestedAt: numberOrNull(row, "manually_requested_at"),
    failures: numberOf(row, "failures"),
    healthHistory: parseHealthHistory(textOrNull(row, "health_history") ?? "{}"),
    resultHistory: parseResultHistory(textOrNull(row, "result_history") ?? "{}"),
  };
}

/** Ends a refresh that had nothing to do. Its request stays, and the next sweep looks at it again. */
export async function endRefresh(database: Database, experimentId: string): Promise<void> {
  const sql = `UPDATE experiments SET refresh_due_at = NULL WHERE id = ? AND refresh_due_at = ${REFRESH_BEGUN}`;
  await runOnPrimary(database, { sql, values: [experimentId] });
}

// A condition on the numbered parameters ?1 to ?7: the row still has the definition that was computed, and a refresh may
// change it.
const SAME_DEFINITION = `id = ?1 AND environment_key = ?2 AND feature_name = ?3 AND variants = ?4
  AND started_at IS ?5 AND ended_at IS ?6 AND metrics = ?7 AND ${NEEDS_REFRESH}`;

function sameDefinitionValues({ id, ...definition }: { id: string } & Definition) {
  return [id, ...definitionValues(definition), metricsText(definition.metrics)];
}

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
 * Returns false, and stores nothing, if the summary is another one meanwhile, or an edit allows to replace it.
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

export type FailedRefresh = {
  failedAt: number;
  /** The kind of the failure. */
  kind: string;
  /** Transient failures in a row; 0: the next sweep starts anew. */
  failures: number;
  /** The time of the retry; null: the next sweep takes over. */
  retryAt: number | null;
  /** True if the manual request behind it counts against the minimum interval. */
  isCharged: boolean;
};

/** The due time in SQL after a failure: that of the retry, or of a request that arrived since the refresh began. */
const dueAfter = (retryAt: string) => `CASE WHEN refresh_due_at != ${REFRESH_BEGUN}
      THEN min(refresh_due_at, coalesce(${retryAt}, refresh_due_at)) ELSE ${retryAt} END`;

/** Stores the time of a failed refresh, and its retry. The request stays pending. */
export async function saveFailure(
  database: Database,
  basis: RefreshBasis,
  { failedAt, kind, failures, retryAt, isCharged }: FailedRefresh,
): Promise<void> {
  const update = {
    sql: `UPDATE experiments SET last_error_at = ?8, failures = ?9, refresh_due_at = ${dueAfter("?10")},
      manually_requested_at = CASE WHEN ?11 OR manually_requested_at IS NOT ?12 THEN manually_requested_at END,
      version = version + 1
    WHERE ${SAME_DEFINITION}`,
    values: [
      ...sameDefinitionValues(basis.experiment),
      failedAt,
      failures,
      retryAt,
      isCharged ? 1 : 0,
      basis.manuallyRequestedAt,
    ],
  };
  const { id } = basis.experiment;
  await database.transact([update, failureStatement(id, failedAt, kind)], [id]);
}

/** Returns the number of an experiment's transient failures in a row. */
export async function getFailures(database: Database, experimentId: string): Promise<number> {
  const sql = "SELECT failures FROM experiments WHERE id = ?";
  const [row] = await runOnPrimary(database, { sql, values: [experimentId] });
  return row === undefined ? 0 : numberOf(row, "failures");
}

/**
 * Stores the time of a failed refresh that stored nothing, and its retry. The retry replaces a due time that has passed, so
 * that it is not endless. A manual request from before `begunAt` does not count against the minimum interval.
 */
export async function saveRetry(
  database: Database,
  experimentId: string,
  begunAt: number,
  { failedAt, failures, retryAt }: Pick<FailedRefresh, "failedAt" | "failures" | "retryAt">,
): Promise<void> {
  // No refresh would clear the error of an experiment that is final or not started.
  const update = {
    sql: `UPDATE experiments SET failures = ?2, refresh_due_at = ?3,
      last_error_at = CASE WHEN started_at <= ?4 AND ${NEEDS_REFRESH} THEN ?4 ELSE last_error_at END,
      manually_requested_at = CASE WHEN manually_requested_at > ?5 THEN manually_requested_at END,
      version = version + 1
    WHERE id = ?1`,
    values: [experimentId, failures, retryAt, failedAt, begunAt],
  };
  await database.transact([update, failureStatement(experimentId, failedAt, "bug")], [experimentId]);
}

/** Records that a requested rebuild of states has been made. */
export async function endRebuild(database: Database, experimentId: string): Promise<void> {
  const sql = "UPDATE experiments SET rebuild_requested = 0 WHERE id = ?";
  await runOnPrimary(database, { sql, values: [experimentId] });
}
