import { type Database, numberOf, runOnPrimary, type Statement } from "./database.ts";
import { NEEDS_REFRESH } from "./experiment-row.ts";
import { type RefreshBasis, SAME_DEFINITION, sameDefinitionValues } from "./refresh-basis.ts";
import { REFRESH_BEGUN } from "./refresh-requests.ts";

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

/**
 * A statement that stores the kind of a failure. The time of the first failure since the last success stays. Nothing is
 * stored for an experiment that is final or not started, because no refresh would delete it.
 */
function failureStatement(experimentId: string, failedAt: number, kind: string): Statement {
  return {
    sql: `INSERT INTO refresh_failures (experiment_id, since, kind) SELECT id, ?2, ?3 FROM experiments
      WHERE id = ?1 AND started_at <= ?2 AND ${NEEDS_REFRESH}
    ON CONFLICT (experiment_id) DO UPDATE SET kind = excluded.kind`,
    values: [experimentId, failedAt, kind],
  };
}

/** A statement that deletes the failure of an experiment after a success. */
export function successStatement(experimentId: string): Statement {
  return { sql: "DELETE FROM refresh_failures WHERE experiment_id = ?", values: [experimentId] };
}
