import type { Definition, Experiment, StartedExperiment, Status } from "../experiment.ts";
import { failed, ok, type Result } from "../result.ts";
import { type Database, numberOf, runOnPrimary, type Statement, textOf } from "./database.ts";
import {
  definitionValues,
  EXPERIMENT_COLUMNS,
  experimentOf,
  featureIsFree,
  inScope,
  type Scope,
  STATUS_AT,
} from "./experiment-row.ts";

export type SavedExperiment = { experiment: Experiment; created: boolean; refreshRequested: boolean };

export type ExperimentInput = Definition & { id: string; name: string };

/**
 * Creates or replaces an experiment, and requests a refresh if it has started. Another environment, feature or start
 * drops the summary. Another end or other variants keep the numbers until the next refresh, but they are no longer final.
 *
 * Fails and changes nothing with `feature_taken` if another experiment of the feature is open, with `not_found` if the
 * id belongs to another environment, and with `forbidden` if the input names an environment out of scope.
 */
export async function putExperiment(
  database: Database,
  input: ExperimentInput,
  scope: Scope,
  now: number,
): Promise<Result<SavedExperiment, "feature_taken" | "not_found" | "forbidden">> {
  const sameNumbers = `environment_key = excluded.environment_key AND feature_name = excluded.feature_name
      AND started_at IS excluded.started_at`;
  const sameDefinition = `${sameNumbers} AND ended_at IS excluded.ended_at AND variants = excluded.variants`;
  // A row that is final before its end was computed while a clock was ahead: an edit corrects it.
  const staysFinal = `is_final AND ${sameDefinition} AND ended_at <= ?8`;
  const upsert: Statement = {
    sql: `INSERT INTO experiments (${EXPERIMENT_COLUMNS}, refresh_requested_at)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, CASE WHEN ?6 <= ?8 THEN ?8 END
    WHERE (?9 IS NULL OR ?3 = ?9) AND ${featureIsFree("?8")}
    ON CONFLICT (id) DO UPDATE SET
      name = excluded.name, environment_key = excluded.environment_key, feature_name = excluded.feature_name,
      variants = excluded.variants, started_at = excluded.started_at, ended_at = excluded.ended_at,
      updated_at = max(updated_at, excluded.updated_at), version = version + 1,
      exposures = CASE WHEN ${sameNumbers} THEN exposures END,
      as_of = CASE WHEN ${sameNumbers} THEN as_of END,
      computed_at = CASE WHEN ${sameNumbers} THEN computed_at END,
      last_error_at = CASE WHEN ${sameNumbers} THEN last_error_at END,
      is_final = ${staysFinal},
      refresh_requested_at = CASE WHEN NOT (${staysFinal}) THEN excluded.refresh_requested_at END
    WHERE ${inScope("?9")}
    RETURNING ${EXPERIMENT_COLUMNS}, version, refresh_requested_at`,
    values: [input.id, input.name, ...definitionValues(input), now, scope],
  };
  const [saved, found] = await database.transact(
    [upsert, { sql: "SELECT environment_key FROM experiments WHERE id = ?", values: [input.id] }],
    [input.id],
  );
  const row = saved?.[0];
  if (row === undefined) {
    const current = found?.[0];
    if (scope !== null && current !== undefined && current["environment_key"] !== scope) return failed("not_found");
    return failed(scope !== null && input.environmentKey !== scope ? "forbidden" : "feature_taken");
  }
  return ok({
    experiment: experimentOf(row),
    created: row["version"] === 1,
    refreshRequested: row["refresh_requested_at"] !== null,
  });
}

export async function getExperiment(database: Database, id: string, scope: Scope): Promise<Experiment | null> {
  const [row] = await database.read({
    sql: `SELECT ${EXPERIMENT_COLUMNS} FROM experiments WHERE id = ?1 AND ${inScope("?2")}`,
    values: [id, scope],
  });
  return row === undefined ? null : experimentOf(row);
}

/** Finds the given experiments that have a start and are not final. Returns them by id. */
export async function findStarted(database: Database, ids: readonly string[]): Promise<Map<string, StartedExperiment>> {
  const rows = await runOnPrimary(database, {
    sql: `SELECT id, environment_key, feature_name, started_at FROM experiments
    WHERE id IN (SELECT value FROM json_each(?)) AND started_at IS NOT NULL AND is_final = 0`,
    values: [JSON.stringify(ids)],
  });
  return new Map(
    rows.map((row) => {
      const experimentId = textOf(row, "id");
      const [environmentKey, featureName] = [textOf(row, "environment_key"), textOf(row, "feature_name")];
      return [experimentId, { experimentId, environmentKey, featureName, startedAt: numberOf(row, "started_at") }];
    }),
  );
}

/** Deletes an experiment. Returns false if there is none with this id in the scope. */
export async function deleteExperiment(database: Database, id: string, scope: Scope): Promise<boolean> {
  const [deleted] = await database.transact(
    [
      { sql: `DELETE FROM experiments WHERE id = ?1 AND ${inScope("?2")} RETURNING id`, values: [id, scope] },
      {
        sql: "DELETE FROM health_watches WHERE experiment_id = ?1 AND experiment_id NOT IN (SELECT id FROM experiments)",
        values: [id],
      },
    ],
    [id],
  );
  return deleted?.[0] !== undefined;
}

export type ExperimentFilter = {
  scope: Scope;
  environmentKey: string | null;
  status: Status | null;
  /** Only ids after this one. */
  after: string | null;
  limit: number;
};

/** Lists a page of experiments in the order of their ids. Changes to other experiments do not shift it. */
export async function listExperiments(
  database: Database,
  { scope, environmentKey, status, after, limit }: ExperimentFilter,
  now: number,
): Promise<Experiment[]> {
  const conditions = ["id > ?"];
  const values: (string | number)[] = [after ?? ""];
  for (const key of [scope, environmentKey]) {
    if (key === null) continue;
    conditions.push("environment_key = ?");
    values.push(key);
  }
  if (status !== null) {
    conditions.push(STATUS_AT[status]);
    values.push(now);
  }
  const rows = await database.read({
    // The inner query finds the ids in an index alone, so that only the rows of the page are read.
    sql: `SELECT ${EXPERIMENT_COLUMNS} FROM experiments WHERE id IN (
      SELECT id FROM experiments WHERE ${conditions.join(" AND ")} ORDER BY id LIMIT ?
    ) ORDER BY id`,
    values: [...values, limit],
  });
  return rows.map(experimentOf);
}
