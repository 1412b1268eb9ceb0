import type { Alert } from "../alerts/health-alert.ts";
import type { Definition, Experiment } from "../experiment.ts";
import type { Watch } from "../exposures/health-history.ts";
import { noteNews, watchOf } from "./alerts.ts";
import { API_KEY_COLUMNS, type ApiKey, apiKeyOf } from "./api-keys.ts";
import { changing, type Database, flagOf, numberOf, numberOrNull, primary, type Row, textOf } from "./database.ts";
import { definitionValues, EXPERIMENT_COLUMNS, experimentOf } from "./experiments.ts";

/** What a client asks for most: an experiment's summary, still as the text it goes out as. */
export type StoredSummary = {
  environmentKey: string;
  startedAt: number | null;
  endedAt: number | null;
  /** Never the same for two answers that differ: of this row, or of one that was deleted before it. */
  version: string;
  asOf: number | null;
  computedAt: number | null;
  lastErrorAt: number | null;
  refreshRequestedAt: number | null;
  isFinal: boolean;
  /** The `exposures` object as JSON text. */
  exposures: string | null;
};

const SUMMARY_COLUMNS = `experiments.environment_key, started_at, ended_at, experiments.created_at, version, as_of,
  computed_at, last_error_at, refresh_requested_at, is_final, exposures`;

export async function getSummary(database: Database, experimentId: string): Promise<StoredSummary | null> {
  const keep = database.recent?.beginRead();
  const [row] = await database.read({
    sql: `SELECT ${SUMMARY_COLUMNS} FROM experiments WHERE id = ?`,
    values: [experimentId],
  });
  if (row === undefined) return null;
  const summary = summaryOf(row);
  keep?.(experimentId, summary);
  return summary;
}

/** The same together with the API key of whoever asks, in one statement: `null` for what there is not. */
export async function getSummaryWithApiKey(
  database: Database,
  experimentId: string,
  sha256: string,
): Promise<{ summary: StoredSummary | null; apiKey: ApiKey | null }> {
  const keep = database.recent?.beginRead();
  const [row] = await primary(database, {
    sql: `SELECT ${SUMMARY_COLUMNS}, ${API_KEY_COLUMNS.map((column) => `api_keys.${column} AS key_${column}`)}
    FROM (SELECT 1) LEFT JOIN api_keys ON api_keys.sha256 = ? LEFT JOIN experiments ON experiments.id = ?`,
    values: [sha256, experimentId],
  });
  if (row === undefined) return { summary: null, apiKey: null };
  const summary = row["version"] === null ? null : summaryOf(row);
  if (summary !== null) keep?.(experimentId, summary);
  return { summary, apiKey: row["key_id"] === null ? null : apiKeyOf(row, "key_") };
}

function summaryOf(row: Row): StoredSummary {
  return {
    environmentKey: textOf(row, "environment_key"),
    startedAt: numberOrNull(row, "started_at"),
    endedAt: numberOrNull(row, "ended_at"),
    version: `${numberOf(row, "created_at").toString(36)}-${numberOf(row, "version")}`,
    asOf: numberOrNull(row, "as_of"),
    computedAt: numberOrNull(row, "computed_at"),
    lastErrorAt: numberOrNull(row, "last_error_at"),
    refreshRequestedAt: numberOrNull(row, "refresh_requested_at"),
    isFinal: flagOf(row, "is_final"),
    exposures: row["exposures"] === null ? null : textOf(row, "exposures"),
  };
}

/** What a refresh starts from; it gives it back when it stores its outcome, so that nothing newer is undone. */
export type RefreshBasis = {
  experiment: Experiment;
  asOf: number | null;
  isFinal: boolean;
  refreshRequestedAt: number | null;
  calledAt: number | null;
  watch: Watch;
};

export async function getRefreshBasis(database: Database, experimentId: string): Promise<RefreshBasis | null> {
  const [row] = await primary(database, {
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
    calledAt: numberOrNull(row, "called_at"),
    // Without numbers there is nothing that was watched: they were another definition's, or another experiment's.
    watch: asOf === null ? {} : watchOf(row),
  };
}

// The numbered parameters ?1 to ?6 of both writes: this row, and only while it has the definition that was computed.
const SAME_DEFINITION = `id = ?1 AND environment_key = ?2 AND feature_name = ?3 AND variants = ?4
  AND started_at IS ?5 AND ended_at IS ?6 AND is_final = 0`;

function definedAs({ id, ...definition }: { id: string } & Definition) {
  return [id, ...definitionValues(definition)];
}

export type ComputedSummary = {
  asOf: number;
  computedAt: number;
  isFinal: boolean;
  exposures: string;
  watch: Watch;
  alerts: readonly Alert[];
};

/**
 * Stores a result in place of the last one with the alerts that it calls for, and with it that the request is served
 * and the last error over. Final numbers serve every request: no refresh comes after them. False if it came too late:
 * the experiment is gone or defined otherwise, final, or has a newer result.
 */
export async function saveSummary(database: Database, basis: RefreshBasis, summary: ComputedSummary): Promise<boolean> {
  const { asOf, computedAt, isFinal, exposures } = summary;
  const isInTime = `${SAME_DEFINITION} AND (as_of IS NULL OR as_of <= ?7 OR as_of > ended_at)`;
  const values = [...definedAs(basis.experiment), asOf];
  const isNews = basis.asOf === null || JSON.stringify(summary.watch) !== JSON.stringify(basis.watch);
  const news = isNews ? noteNews(summary, computedAt, isInTime, values) : [];
  const update = {
    sql: `UPDATE experiments SET as_of = ?7, computed_at = max(?8, coalesce(computed_at, ?8)), is_final = ?9,
      exposures = ?10, last_error_at = NULL,
      refresh_requested_at = CASE WHEN ?9 = 0 AND refresh_requested_at IS NOT ?11 THEN refresh_requested_at END,
      version = version + 1
    WHERE ${isInTime}
    RETURNING id`,
    values: [...values, computedAt, isFinal ? 1 : 0, exposures, basis.refreshRequestedAt],
  };
  const results = await changing(database, [basis.experiment.id], database.transact([...news, update]));
  return (results.at(-1) ?? []).length > 0;
}

/** Marks that a refresh failed, and nothing else, but that the call which asked for it no longer counts. */
export async function saveFailure(database: Database, basis: RefreshBasis, failedAt: number): Promise<void> {
  const write = primary(database, {
    sql: `UPDATE experiments SET last_error_at = ?7,
      called_at = CASE WHEN called_at IS NOT ?8 THEN called_at END, version = version + 1
    WHERE ${SAME_DEFINITION}`,
    values: [...definedAs(basis.experiment), failedAt, basis.calledAt],
  });
  await changing(database, [basis.experiment.id], write);
}
