import type { Experiment } from "../experiment.ts";
import { API_KEY_COLUMNS, type ApiKey, apiKeyOf } from "./api-keys.ts";
import { type Database, flagOf, numberOf, numberOrNull, type Row, runOnPrimary, textOrNull } from "./database.ts";
import { EXPERIMENT_COLUMNS, experimentOf } from "./experiment-row.ts";

/** An experiment with its summary, as one row of one read. The payload is the text that a response sends. */
export type StoredSummary = {
  experiment: Experiment;
  /** Incremented by each write. With the time of creation, it differs from those of a deleted row with the same id. */
  version: number;
  asOf: number | null;
  computedAt: number | null;
  lastErrorAt: number | null;
  refreshRequestedAt: number | null;
  isFinal: boolean;
  /** True if sweeps refresh it only once an hour. */
  isIdle: boolean;
  /** The `exposures` object as JSON text. */
  exposures: string | null;
  /** Null until the first refresh with metrics. */
  results: StoredResults | null;
};

/** The state of an experiment's results. */
export type StoredResults = {
  /** Null until the first success, as is `computedAt`. */
  asOf: number | null;
  computedAt: number | null;
  lastErrorAt: number | null;
  /** The counts as JSON text, which `parseCounts` reads; null until the first success. */
  counted: string | null;
};

/** The columns of results, beside those of experiments. */
export const RESULTS_COLUMNS = `results.experiment_id AS results_id, results.as_of AS results_as_of,
  results.computed_at AS results_computed_at, results.last_error_at AS results_last_error_at, counted`;

/** The joins that add an experiment's summary and results. */
export const WITH_NUMBERS = `LEFT JOIN summaries ON summaries.experiment_id = experiments.id
  LEFT JOIN results ON results.experiment_id = experiments.id`;

const SUMMARY_COLUMNS = `${EXPERIMENT_COLUMNS.split(", ").map((column) => `experiments.${column}`)}, version,
  experiments.as_of, experiments.computed_at, experiments.last_error_at, refresh_requested_at, is_final, is_idle,
  ${RESULTS_COLUMNS}, exposures`;

export async function getSummary(database: Database, experimentId: string): Promise<StoredSummary | null> {
  const [row] = await database.read({
    sql: `SELECT ${SUMMARY_COLUMNS} FROM experiments ${WITH_NUMBERS} WHERE id = ?`,
    values: [experimentId],
  });
  return row === undefined ? null : summaryOf(row);
}

/** Reads a summary and the API key with this hash in one statement. Either is null if it does not exist. */
export async function getSummaryWithApiKey(
  database: Database,
  experimentId: string,
  sha256: string,
): Promise<{ summary: StoredSummary | null; apiKey: ApiKey | null }> {
  const [row] = await runOnPrimary(database, {
    sql: `SELECT ${SUMMARY_COLUMNS}, ${API_KEY_COLUMNS.map((column) => `api_keys.${column} AS key_${column}`)}
    FROM (SELECT 1) LEFT JOIN api_keys ON api_keys.sha256 = ? LEFT JOIN experiments ON experiments.id = ?
      ${WITH_NUMBERS}`,
    values: [sha256, experimentId],
  });
  if (row === undefined) return { summary: null, apiKey: null };
  return {
    summary: row["version"] === null ? null : summaryOf(row),
    apiKey: row["key_id"] === null ? null : apiKeyOf(row, "key_"),
  };
}

function summaryOf(row: Row): StoredSummary {
  return {
    experiment: experimentOf(row),
    version: numberOf(row, "version"),
    asOf: numberOrNull(row, "as_of"),
    computedAt: numberOrNull(row, "computed_at"),
    lastErrorAt: numberOrNull(row, "last_error_at"),
    refreshRequestedAt: numberOrNull(row, "refresh_requested_at"),
    isFinal: flagOf(row, "is_final"),
    isIdle: flagOf(row, "is_idle"),
    exposures: textOrNull(row, "exposures"),
    results: resultsOf(row),
  };
}

/** Reads RESULTS_COLUMNS. */
export function resultsOf(row: Row): StoredResults | null {
  if (row["results_id"] === null) return null;
  return {
    asOf: numberOrNull(row, "results_as_of"),
    computedAt: numberOrNull(row, "results_computed_at"),
    lastErrorAt: numberOrNull(row, "results_last_error_at"),
    counted: textOrNull(row, "counted"),
  };
}
