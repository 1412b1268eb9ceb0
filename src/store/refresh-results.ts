import type { Definition, Experiment } from "../experiment.ts";
import { type HealthHistory, parseHealthHistory } from "../exposures/health-history.ts";
import { type Alert, alertStatements } from "./alerts.ts";
import { type Database, flagOf, numberOrNull, runOnPrimary, type Statement, textOrNull } from "./database.ts";
import { definitionValues, EXPERIMENT_COLUMNS, experimentOf, NEEDS_REFRESH } from "./experiment-row.ts";
import { failureStatement, successStatement } from "./refresh-failures.ts";

/** The state at the start of a refresh. It is passed back with the outcome, so that nothing newer is overwritten. */
export type RefreshBasis = {
  experiment: Experiment;
  asOf: number | null;
  /** The identities in the stored summary, excluded ones included; null: any count may replace it. */
  identities: number | null;
  isFinal: boolean;
  /** For final numbers, the request is for a recount. */
  refreshRequestedAt: number | null;
  manuallyRequestedAt: number | null;
  healthHistory: HealthHistory;
};

export async function getRefreshBasis(database: Database, experimentId: string): Promise<RefreshBasis | null> {
  const [row] = await runOnPrimary(database, {
    sql: `SELECT ${EXPERIMENT_COLUMNS}, as_of, identities, is_final, refresh_requested_at, manually_requested_at, history
    FROM experiments LEFT JOIN health_histories ON experiment_id = id WHERE id = ?`,
    values: [experimentId],
  });
  if (row === undefined) return null;
  return {
    experiment: experimentOf(row),
    asOf: numberOrNull(row, "as_of"),
    identities: numberOrNull(row, "identities"),
    isFinal: flagOf(row, "is_final"),
    refreshRequestedAt: numberOrNull(row, "refresh_requested_at"),
    manuallyRequestedAt: numberOrNull(row, "manually_requested_at"),
    healthHistory: parseHealthHistory(textOrNull(row, "history") ?? "{}"),
  };
}

// A condition on the numbered parameters ?1 to ?6: the row still has the definition that was computed, and a refresh may
// change it.
const SAME_DEFINITION = `id = ?1 AND environment_key = ?2 AND feature_name = ?3 AND variants = ?4
  AND started_at IS ?5 AND ended_at IS ?6 AND ${NEEDS_REFRESH}`;

function sameDefinitionValues({ id, ...definition }: { id: string } & Definition) {
  return [id, ...definitionValues(definition)];
}

export type ComputedSummary = {
  asOf: number;
  computedAt: number;
  isFinal: boolean;
  /** The identities in the summary, excluded ones included. */
  identities: number;
  /** Whether there was no exposure in the 30 days before `asOf`. */
  isIdle: boolean;
  /** The `exposures` object as JSON text. */
  exposures: string;
  healthHistory: HealthHistory;
  alerts: readonly Alert[];
};

/**
 * The request that remains after a refresh, in SQL: one that is newer than the served one. If the refresh made the numbers
 * final, none remains, because no refresh follows it.
 */
const requestAfter = (isFinal: string, served: string) => `CASE
      WHEN (is_final OR NOT ${isFinal}) AND refresh_requested_at IS NOT ${served} THEN refresh_requested_at END`;

/**
 * Stores a summary with its alerts. It clears the last error and the request that the refresh has served.
 *
 * Returns false, and stores nothing, if the result comes too late: the experiment is deleted, redefined, final without a
 * request to recount it, or has a newer summary.
 */
export async function saveSummary(database: Database, basis: RefreshBasis, summary: ComputedSummary): Promise<boolean> {
  const { asOf, computedAt, isFinal, identities, isIdle, exposures } = summary;
  const isInTime = `${SAME_DEFINITION} AND (as_of IS NULL OR as_of <= ?7 OR as_of > ended_at)`;
  const values = [...sameDefinitionValues(basis.experiment), asOf];
  const isHistoryChanged = JSON.stringify(summary.healthHistory) !== JSON.stringify(basis.healthHistory);
  const alerts = isHistoryChanged ? alertStatements(summary, computedAt, isInTime, values) : [];
  const payload: Statement = {
    sql: `INSERT INTO summaries (experiment_id, exposures) SELECT id, ?8 FROM experiments WHERE ${isInTime}
    ON CONFLICT (experiment_id) DO UPDATE SET exposures = excluded.exposures`,
    values: [...values, exposures],
  };
  const update: Statement = {
    sql: `UPDATE experiments SET as_of = ?7, computed_at = max(?8, coalesce(computed_at, ?8)), is_final = ?9,
      identities = ?10, is_idle = ?12, last_error_at = NULL, refresh_requested_at = ${requestAfter("?9", "?11")},
      version = version + 1
    WHERE ${isInTime}
    RETURNING id`,
    values: [...values, computedAt, isFinal ? 1 : 0, identities, basis.refreshRequestedAt, isIdle ? 1 : 0],
  };
  const { id } = basis.experiment;
  const results = await database.transact([...alerts, successStatement(id), payload, update], [id]);
  return (results.at(-1) ?? []).length > 0;
}

/**
 * Keeps the stored summary, because the count of this refresh is incomplete, and stores the time as that of an error. The
 * request is served, since a retry would count the same.
 * @param isFinal whether the stored summary is final from now on
 */
export async function keepSummary(
  database: Database,
  basis: RefreshBasis,
  failedAt: number,
  isFinal: boolean,
): Promise<void> {
  const update = {
    sql: `UPDATE experiments SET last_error_at = ?7, is_final = ?8,
      refresh_requested_at = ${requestAfter("?8", "?9")}, version = version + 1
    WHERE ${SAME_DEFINITION}`,
    values: [...sameDefinitionValues(basis.experiment), failedAt, isFinal ? 1 : 0, basis.refreshRequestedAt],
  };
  const { id } = basis.experiment;
  await database.transact([update, successStatement(id)], [id]);
}

/** Stores a failed refresh. The manual request behind it no longer counts against the minimum interval. */
export async function saveFailure(
  database: Database,
  basis: RefreshBasis,
  failedAt: number,
  kind: string,
): Promise<void> {
  const update = {
    sql: `UPDATE experiments SET last_error_at = ?7,
      manually_requested_at = CASE WHEN manually_requested_at IS NOT ?8 THEN manually_requested_at END,
      version = version + 1
    WHERE ${SAME_DEFINITION}`,
    values: [...sameDefinitionValues(basis.experiment), failedAt, basis.manuallyRequestedAt],
  };
  const { id } = basis.experiment;
  await database.transact([update, failureStatement(id, failedAt, kind)], [id]);
}
