import type { Definition, Experiment } from "../experiment.ts";
import type { HealthHistory } from "../exposures/health-history.ts";
import { type Alert, alertStatements, healthHistoryOf } from "./alerts.ts";
import { type Database, flagOf, numberOrNull, runOnPrimary } from "./database.ts";
import { definitionValues, EXPERIMENT_COLUMNS, experimentOf } from "./experiment-row.ts";

/** The state at the start of a refresh. It is passed back with the outcome, so that nothing newer is overwritten. */
export type RefreshBasis = {
  experiment: Experiment;
  asOf: number | null;
  isFinal: boolean;
  refreshRequestedAt: number | null;
  manuallyRequestedAt: number | null;
  healthHistory: HealthHistory;
};

export async function getRefreshBasis(database: Database, experimentId: string): Promise<RefreshBasis | null> {
  const [row] = await runOnPrimary(database, {
    sql: `SELECT ${EXPERIMENT_COLUMNS}, as_of, is_final, refresh_requested_at, called_at, watch
    FROM experiments LEFT JOIN health_watches ON experiment_id = id WHERE id = ?`,
    values: [experimentId],
  });
  if (row === undefined) return null;
  const asOf = numberOrNull(row, "as_of");
  return {
    experiment: experimentOf(row),
    asOf,
    isFinal: flagOf(row, "is_final"),
    refreshRequestedAt: numberOrNull(row, "refresh_requested_at"),
    manuallyRequestedAt: numberOrNull(row, "called_at"),
    // A history without numbers belongs to an earlier definition, or to a deleted experiment with the same id.
    healthHistory: asOf === null ? {} : healthHistoryOf(row),
  };
}

// A condition on the numbered parameters ?1 to ?6: the row still has the definition that was computed, and is not final.
const SAME_DEFINITION = `id = ?1 AND environment_key = ?2 AND feature_name = ?3 AND variants = ?4
  AND started_at IS ?5 AND ended_at IS ?6 AND is_final = 0`;

function sameDefinitionValues({ id, ...definition }: { id: string } & Definition) {
  return [id, ...definitionValues(definition)];
}

export type ComputedSummary = {
  asOf: number;
  computedAt: number;
  isFinal: boolean;
  /** The `exposures` object as JSON text. */
  exposures: string;
  healthHistory: HealthHistory;
  alerts: readonly Alert[];
};

/**
 * Stores a summary with its alerts. It clears the last error and the request that the refresh has served. A final
 * summary clears every request, because no refresh follows it.
 *
 * Returns false, and stores nothing, if the result comes too late: the experiment is deleted, redefined, final, or has a
 * newer summary.
 */
export async function saveSummary(database: Database, basis: RefreshBasis, summary: ComputedSummary): Promise<boolean> {
  const { asOf, computedAt, isFinal, exposures } = summary;
  const isInTime = `${SAME_DEFINITION} AND (as_of IS NULL OR as_of <= ?7 OR as_of > ended_at)`;
  const values = [...sameDefinitionValues(basis.experiment), asOf];
  const isHistoryChanged =
    basis.asOf === null || JSON.stringify(summary.healthHistory) !== JSON.stringify(basis.healthHistory);
  const alerts = isHistoryChanged ? alertStatements(summary, computedAt, isInTime, values) : [];
  const update = {
    sql: `UPDATE experiments SET as_of = ?7, computed_at = max(?8, coalesce(computed_at, ?8)), is_final = ?9,
      exposures = ?10, last_error_at = NULL,
      refresh_requested_at = CASE WHEN ?9 = 0 AND refresh_requested_at IS NOT ?11 THEN refresh_requested_at END,
      version = version + 1
    WHERE ${isInTime}
    RETURNING id`,
    values: [...values, computedAt, isFinal ? 1 : 0, exposures, basis.refreshRequestedAt],
  };
  const results = await database.transact([...alerts, update], [basis.experiment.id]);
  return (results.at(-1) ?? []).length > 0;
}

/** Stores the time of a failed refresh. The manual request behind it no longer counts against the minimum interval. */
export async function saveFailure(database: Database, basis: RefreshBasis, failedAt: number): Promise<void> {
  const update = {
    sql: `UPDATE experiments SET last_error_at = ?7,
      called_at = CASE WHEN called_at IS NOT ?8 THEN called_at END, version = version + 1
    WHERE ${SAME_DEFINITION}`,
    values: [...sameDefinitionValues(basis.experiment), failedAt, basis.manuallyRequestedAt],
  };
  await runOnPrimary(database, update, [basis.experiment.id]);
}
