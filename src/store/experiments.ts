import type { Definition, Experiment, Source, StartedExperiment, Status } from "../experiment.ts";
import { failed, ok, type Result } from "../result.ts";
import { type Database, flagOf, numberOf, type Row, runOnPrimary, type Statement, textOf } from "./database.ts";
import {
  definitionValues,
  EXPERIMENT_COLUMNS,
  experimentOf,
  featureIsFree,
  hasWeights,
  inScope,
  metricsText,
  type Scope,
  STATUS_AT,
  splitsDiffer,
} from "./experiment-row.ts";
import { reweightFinalSummary } from "./reweight-summary.ts";

export type SavedExperiment = { experiment: Experiment; created: boolean; refreshRequested: boolean };

export type ExperimentInput = Definition & { id: string; name: string };

export const timeFields = ["started_at", "ended_at"] as const;
export type TimeField = (typeof timeFields)[number];

/** The conditions of an edit. */
export type EditOptions = {
  /** The times that the client left out. An edit must not clear a stored time that way. */
  omitted: readonly TimeField[];
  /** Allows the edit to replace final numbers, and the next refresh to replace numbers whose events have expired. */
  replaceNumbers: boolean;
  /** Refuses an id that exists. */
  createOnly: boolean;
  /** The owner of the definition. An edit by another one is refused. */
  source: Source;
};

export type PutFailure =
  | { kind: "feature_taken" | "not_found" | "forbidden" | "final_numbers" | "id_taken" | "other_source" }
  | { kind: "times_missing"; fields: TimeField[] };

// Conditions on the numbered parameters of `putExperiment`.
const KEEPS_NUMBERS = "environment_key = ?3 AND feature_name = ?4 AND started_at IS ?6";
// A row that is final before its end was computed while a clock was ahead: an edit corrects it.
const STAYS_FINAL = `(is_final AND ended_at <= ?8 AND ${KEEPS_NUMBERS} AND ended_at IS ?7)`;
const REPLACES_FINAL = `(is_final AND ended_at <= ?8 AND NOT ${STAYS_FINAL})`;
// The first weights are not a change, because no split was known before. Weights that are set again after a removal are one.
const CHANGES_SPLIT = `(?6 < ?8 AND ?8 < coalesce(?7, 9e15) AND ${splitsDiffer("experiments.variants", "?5")}
      AND (weights_changed_at IS NOT NULL OR ${hasWeights("experiments.variants")}))`;
const LACKS_START = "(?10 AND started_at IS NOT NULL)";
const LACKS_END = "(?11 AND ended_at IS NOT NULL)";

/**
 * Creates or replaces an experiment, and requests a refresh if it has started. Changing the environment, feature or start
 * deletes the summary and the results. Changing the end, variants or metrics keeps the numbers until the next refresh.
 * Final numbers stay final if only the name, the variants (which are applied to them) or the metrics change. Any other edit
 * of them needs `replaceNumbers`. Changing the relative weights of a running experiment sets the time of their change.
 * Changing the environment, feature or start clears it.
 *
 * Fails and changes nothing with `feature_taken` if the window overlaps that of another experiment of the feature, with
 * `not_found` if the id belongs to another environment, with `forbidden` if the input names an environment out of scope,
 * with `other_source` if the definition belongs to another source, with `times_missing` if the input omits a stored time,
 * with `final_numbers` if it would replace final numbers, and with `id_taken` if the id exists and the options allow only a
 * new one.
 */
export async function putExperiment(
  database: Database,
  input: ExperimentInput,
  scope: Scope,
  now: number,
  { omitted = [], replaceNumbers = false, createOnly = false, source = "api" }: Partial<EditOptions> = {},
): Promise<Result<SavedExperiment, PutFailure>> {
  const values = [
    input.id,
    input.name,
    ...definitionValues(input),
    now,
    scope,
    omitted.includes("started_at") ? 1 : 0,
    omitted.includes("ended_at") ? 1 : 0,
    metricsText(input.metrics),
    replaceNumbers ? 1 : 0,
    createOnly ? 1 : 0,
    source,
  ];
  const upsert: Statement = {
    sql: `INSERT INTO experiments (${EXPERIMENT_COLUMNS}, refresh_requested_at, refresh_due_at)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?12, NULL, ?15, CASE WHEN ?6 <= ?8 THEN ?8 END, CASE WHEN ?6 <= ?8 THEN ?8 END
    WHERE (?9 IS NULL OR ?3 = ?9) AND ${featureIsFree("?8")}
      AND NOT (?14 AND EXISTS (SELECT 1 FROM experiments WHERE id = ?1))
    ON CONFLICT (id) DO UPDATE SET
      name = excluded.name, environment_key = excluded.environment_key, feature_name = excluded.feature_name,
      variants = excluded.variants, metrics = excluded.metrics, started_at = excluded.started_at, ended_at = excluded.ended_at,
      updated_at = max(updated_at, excluded.updated_at), version = version + 1,
      weights_changed_at = CASE
        WHEN ${KEEPS_NUMBERS} AND ${CHANGES_SPLIT} THEN max(updated_at, excluded.updated_at)
        WHEN ${KEEPS_NUMBERS} THEN weights_changed_at END,
      as_of = CASE WHEN ${KEEPS_NUMBERS} THEN as_of END,
      computed_at = CASE WHEN ${KEEPS_NUMBERS} THEN computed_at END,
      last_error_at = CASE WHEN ${KEEPS_NUMBERS} THEN last_error_at END,
      identities = CASE WHEN ${KEEPS_NUMBERS} AND (${STAYS_FINAL} OR NOT ?13) THEN identities END,
      is_idle = is_idle AND ${KEEPS_NUMBERS},
      is_final = ${STAYS_FINAL},
      refresh_requested_at = CASE WHEN ${STAYS_FINAL} THEN refresh_requested_at ELSE excluded.refresh_requested_at END,
      refresh_due_at = CASE WHEN ${STAYS_FINAL} THEN refresh_due_at ELSE excluded.refresh_due_at END
    WHERE ${inScope("?9")} AND source = ?15 AND NOT ${LACKS_START} AND NOT ${LACKS_END} AND (?13 OR NOT ${REPLACES_FINAL})
    RETURNING ${EXPERIMENT_COLUMNS}, version, is_final, refresh_requested_at`,
    values,
  };
  const find: Statement = {
    sql: `SELECT environment_key, ${LACKS_START} AS lacks_start, ${LACKS_END} AS lacks_end,
      ${REPLACES_FINAL} AND NOT ?13 AS replaces_final, ?14 AS is_taken, source != ?15 AS has_other_source
    FROM experiments WHERE id = ?1`,
    values,
  };
  const dropped = "experiment_id IN (SELECT id FROM experiments WHERE id = ? AND as_of IS NULL)";
  const [saved, found] = await database.transact(
    [
      upsert,
      find,
      ...["summaries", "health_histories", "result_histories"].map((table) => {
        return { sql: `DELETE FROM ${table} WHERE ${dropped}`, values: [input.id] };
      }),
      {
        sql: `DELETE FROM results WHERE experiment_id IN
          (SELECT id FROM experiments WHERE id = ? AND (as_of IS NULL OR metrics = '[]'))`,
        values: [input.id],
      },
    ],
    [input.id],
  );
  const row = saved?.[0];
  if (row === undefined) return failed(putFailure(found?.[0], input, scope));
  if (flagOf(row, "is_final")) await reweightFinalSummary(database, input.id);
  return ok({
    experiment: experimentOf(row),
    created: row["version"] === 1,
    refreshRequested: row["refresh_requested_at"] !== null,
  });
}

/** The reason why an edit of this row was not saved. */
function putFailure(current: Row | undefined, input: ExperimentInput, scope: Scope): PutFailure {
  if (current?.["is_taken"] === 1) return { kind: "id_taken" };
  if (scope !== null && current !== undefined && current["environment_key"] !== scope) return { kind: "not_found" };
  if (scope !== null && input.environmentKey !== scope) return { kind: "forbidden" };
  if (current !== undefined) {
    if (current["has_other_source"] === 1) return { kind: "other_source" };
    const fields: TimeField[] = [];
    if (current["lacks_start"] === 1) fields.push("started_at");
    if (current["lacks_end"] === 1) fields.push("ended_at");
    if (fields.length > 0) return { kind: "times_missing", fields };
    if (current["replaces_final"] === 1) return { kind: "final_numbers" };
  }
  return { kind: "feature_taken" };
}

/** Reads from the primary, so that a client sees an experiment that it has just written. */
export async function getExperiment(database: Database, id: string, scope: Scope): Promise<Experiment | null> {
  const [row] = await runOnPrimary(database, {
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

/**
 * Deletes an experiment of the API and its summary. Fails with `not_found` if there is none with this id in the scope, and
 * with `other_source` if its definition belongs to Flagsmith.
 */
export async function deleteExperiment(
  database: Database,
  id: string,
  scope: Scope,
): Promise<Result<null, { kind: "not_found" | "other_source" }>> {
  const isFound = `id = ?1 AND ${inScope("?2")}`;
  const values = [id, scope];
  const [deleted, left] = await database.transact(
    [
      { sql: `DELETE FROM experiments WHERE ${isFound} AND source = 'api' RETURNING id`, values },
      { sql: `SELECT id FROM experiments WHERE ${isFound}`, values },
    ],
    [id],
  );
  if (deleted?.[0] !== undefined) return ok(null);
  return failed({ kind: left?.[0] === undefined ? "not_found" : "other_source" });
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
