import type { Definition, Experiment } from "../experiment.ts";
import { type HealthHistory, parseHealthHistory } from "../exposures/health-history.ts";
import { parseResultHistory, type ResultHistory } from "../results/result-history.ts";
import { type Database, flagOf, numberOf, numberOrNull, runOnPrimary, textOrNull } from "./database.ts";
import { definitionValues, EXPERIMENT_COLUMNS, experimentOf, metricsText, NEEDS_REFRESH } from "./experiment-row.ts";
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

/** Records that a requested rebuild of states has been made. */
export async function endRebuild(database: Database, experimentId: string): Promise<void> {
  const sql = "UPDATE experiments SET rebuild_requested = 0 WHERE id = ?";
  await runOnPrimary(database, { sql, values: [experimentId] });
}

/**
 * A condition on the numbered parameters ?1 to ?7: the row still has the definition that was computed, and a refresh may
 * change it.
 */
export const SAME_DEFINITION = `id = ?1 AND environment_key = ?2 AND feature_name = ?3 AND variants = ?4
  AND started_at IS ?5 AND ended_at IS ?6 AND metrics = ?7 AND ${NEEDS_REFRESH}`;

/** The values of the parameters of `SAME_DEFINITION`. */
export function sameDefinitionValues({ id, ...definition }: { id: string } & Definition) {
  return [id, ...definitionValues(definition), metricsText(definition.metrics)];
}
