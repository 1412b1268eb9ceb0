import type { Definition, Experiment, StartedExperiment, Status, Variant } from "../experiment.ts";
import { failed, ok, type Result } from "../result.ts";
import {
  changing,
  type Database,
  numberOf,
  numberOrNull,
  primary,
  type Row,
  type Statement,
  textOf,
} from "./database.ts";

/**
 * As a condition on the parameters ?1 to ?7, in the order of the columns: whether the experiment is over at `now` or
 * no other of its feature is open.
 */
export const isFeatureFree = (now: string) => `(?7 <= ${now} OR NOT EXISTS (
      SELECT 1 FROM experiments
      WHERE environment_key = ?3 AND feature_name = ?4 AND id != ?1 AND (ended_at IS NULL OR ended_at > ${now})
    ))`;

export type SavedExperiment = { experiment: Experiment; created: boolean; refreshRequested: boolean };

export type ExperimentInput = Definition & { id: string; name: string };

export const EXPERIMENT_COLUMNS =
  "id, name, environment_key, feature_name, variants, started_at, ended_at, created_at, updated_at";

/** The one environment whose experiments exist for whoever asks; null: all. */
export type Scope = string | null;

/** As a condition, on a parameter. */
export const within = (parameter: string) => `(${parameter} IS NULL OR environment_key = ${parameter})`;

/**
 * Creates or replaces an experiment, and notes a refresh as requested if it has started. Another environment, feature
 * or start drops the summary; another end, or other variants, keep the numbers until the next refresh, but not as
 * final.
 *
 * Two experiments of one feature must not be open at once: fails with `feature_taken` and changes nothing. So it does
 * with `not_found` if the id is another environment's, and with `forbidden` if the experiment would become one.
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
  // Final before its end it can only be by a clock that was ahead: then an edit puts it right.
  const staysFinal = `is_final AND ${sameDefinition} AND ended_at <= ?8`;
  const upsert: Statement = {
    sql: `INSERT INTO experiments (${EXPERIMENT_COLUMNS}, refresh_requested_at)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, CASE WHEN ?6 <= ?8 THEN ?8 END
    WHERE (?9 IS NULL OR ?3 = ?9) AND ${isFeatureFree("?8")}
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
    WHERE ${within("?9")}
    RETURNING ${EXPERIMENT_COLUMNS}, version, refresh_requested_at`,
    values: [input.id, input.name, ...definitionValues(input), now, scope],
  };
  const write = database.transact([
    upsert,
    { sql: "SELECT environment_key FROM experiments WHERE id = ?", values: [input.id] },
  ]);
  const [saved, found] = await changing(database, [input.id], write);
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
    sql: `SELECT ${EXPERIMENT_COLUMNS} FROM experiments WHERE id = ?1 AND ${within("?2")}`,
    values: [id, scope],
  });
  return row === undefined ? null : experimentOf(row);
}

/** Of these experiments, those that have a start and are not final, by id. */
export async function findStarted(database: Database, ids: readonly string[]): Promise<Map<string, StartedExperiment>> {
  const rows = await primary(database, {
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

/** False if there was none. */
export async function deleteExperiment(database: Database, id: string, scope: Scope): Promise<boolean> {
  const write = database.transact([
    { sql: `DELETE FROM experiments WHERE id = ?1 AND ${within("?2")} RETURNING id`, values: [id, scope] },
    {
      sql: "DELETE FROM health_watches WHERE experiment_id = ?1 AND experiment_id NOT IN (SELECT id FROM experiments)",
      values: [id],
    },
  ]);
  const [deleted] = await changing(database, [id], write);
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

/** A page of experiments in the order of their ids, which stays put while others are added or changed. */
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
    // First the ids, from an index alone: however many experiments there are, only those shown are read.
    sql: `SELECT ${EXPERIMENT_COLUMNS} FROM experiments WHERE id IN (
      SELECT id FROM experiments WHERE ${conditions.join(" AND ")} ORDER BY id LIMIT ?
    ) ORDER BY id`,
    values: [...values, limit],
  });
  return rows.map(experimentOf);
}

/** `statusAt` as conditions, each on one value: now. */
export const STATUS_AT: Readonly<Record<Status, string>> = {
  draft: "coalesce(started_at > ?, 1)",
  running: "? BETWEEN started_at AND coalesce(ended_at - 1, 9e15)",
  completed: "ended_at <= ?",
};

export function definitionValues(definition: Definition): (string | number | null)[] {
  const { environmentKey, featureName, variants, startedAt, endedAt } = definition;
  return [environmentKey, featureName, JSON.stringify(variants), startedAt, endedAt];
}

export function experimentOf(row: Row): Experiment {
  return {
    id: textOf(row, "id"),
    name: textOf(row, "name"),
    environmentKey: textOf(row, "environment_key"),
    featureName: textOf(row, "feature_name"),
    variants: variantsOf(textOf(row, "variants")),
    startedAt: numberOrNull(row, "started_at"),
    endedAt: numberOrNull(row, "ended_at"),
    createdAt: numberOf(row, "created_at"),
    updatedAt: numberOf(row, "updated_at"),
  };
}

function variantsOf(json: string): Variant[] {
  const variants: unknown = JSON.parse(json);
  if (!Array.isArray(variants)) throw new TypeError("variants is not a list");
  return variants.map(({ key, weight }: Row) => {
    if (typeof key !== "string" || typeof weight !== "number") throw new TypeError("variants holds no variant");
    return { key, weight };
  });
}
