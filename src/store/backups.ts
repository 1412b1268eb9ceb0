import type { Experiment } from "../experiment.ts";
import { type Database, flagOf, numberOrNull, runOnPrimary, type Statement, textOf, textOrNull } from "./database.ts";
import { definitionValues, EXPERIMENT_COLUMNS, experimentOf, featureIsFree, metricsText } from "./experiment-row.ts";
import { RESULTS_COLUMNS, resultsOf, type StoredResults, WITH_NUMBERS } from "./summaries.ts";

/** An experiment with its numbers. They are included because the events behind them may have expired. */
export type Backup = {
  experiment: Experiment;
  asOf: number | null;
  computedAt: number | null;
  lastErrorAt: number | null;
  isFinal: boolean;
  /** The `exposures` object as JSON text. */
  exposures: string | null;
  results: StoredResults | null;
};

const BACKUP_COLUMNS = `${EXPERIMENT_COLUMNS}, as_of, computed_at, last_error_at, is_final`;
const LISTED_COLUMNS = BACKUP_COLUMNS.split(", ").map((column) => `experiments.${column}`);
/** The limits of a page. Only its last row may exceed the bytes. */
const PAGE = { rows: 100, bytes: 2_000_000 };

/** Lists a page of experiments after an id, in the order of their ids. Only the page after the last one is empty. */
export async function listBackups(database: Database, after: string): Promise<Backup[]> {
  const rows = await runOnPrimary(database, {
    sql: `SELECT * FROM (
      SELECT ${LISTED_COLUMNS}, exposures, ${RESULTS_COLUMNS},
        sum(coalesce(length(exposures), 0) + coalesce(length(counted), 0)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        AS bytes_before
      FROM experiments ${WITH_NUMBERS} WHERE id > ? ORDER BY id LIMIT ?
    ) WHERE coalesce(bytes_before, 0) < ?`,
    values: [after, PAGE.rows, PAGE.bytes],
  });
  return rows.map((row) => ({
    experiment: experimentOf(row),
    asOf: numberOrNull(row, "as_of"),
    computedAt: numberOrNull(row, "computed_at"),
    lastErrorAt: numberOrNull(row, "last_error_at"),
    isFinal: flagOf(row, "is_final"),
    exposures: textOrNull(row, "exposures"),
    results: resultsOf(row),
  }));
}

export type ImportOutcome = {
  imported: string[];
  skipped: { experimentId: string; reason: "exists" | "feature_taken" }[];
};

/**
 * Adds the experiments that do not exist yet. Existing experiments stay unchanged.
 *
 * The version of an imported row starts at `now` in milliseconds, which no row reaches by increments. So an ETag of an
 * earlier row with the same id and creation time is never reused.
 * @param backups about 100 at most
 */
export async function importBackups(
  database: Database,
  backups: readonly Backup[],
  now: number,
): Promise<ImportOutcome> {
  const insert = ({ experiment, ...summary }: Backup): Statement => ({
    sql: `INSERT INTO experiments (${BACKUP_COLUMNS}, identities, version)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?16, ?17, ?10, ?11, ?12, ?13,
      json_extract(?14, '$.total_identities') + json_extract(?14, '$.excluded_identities'), ?15
    WHERE (?13 AND ?7 <= ?15) OR ${featureIsFree("?15")}
    ON CONFLICT (id) DO NOTHING RETURNING id`,
    values: [
      experiment.id,
      experiment.name,
      ...definitionValues(experiment),
      experiment.createdAt,
      experiment.updatedAt,
      summary.asOf,
      summary.computedAt,
      summary.lastErrorAt,
      summary.isFinal ? 1 : 0,
      summary.exposures,
      now,
      metricsText(experiment.metrics),
      experiment.weightsChangedAt,
    ],
  });
  const ids = backups.map(({ experiment }) => experiment.id);
  const findExisting = {
    sql: "SELECT id FROM experiments WHERE id IN (SELECT value FROM json_each(?))",
    values: [JSON.stringify(ids)],
  };
  const added = [summariesOf(backups), resultsRowsOf(backups)].flatMap((rows) => insertsOf(rows, now));
  const [existing = [], ...inserted] = await database.transact([findExisting, ...backups.map(insert), ...added], ids);
  const exists = new Set(existing.map((row) => textOf(row, "id")));
  const outcome: ImportOutcome = { imported: [], skipped: [] };
  for (const [index, id] of ids.entries()) {
    if (inserted[index]?.[0] !== undefined) {
      outcome.imported.push(id);
      exists.add(id);
    } else outcome.skipped.push({ experimentId: id, reason: exists.has(id) ? "exists" : "feature_taken" });
  }
  return outcome;
}

/** D1 allows 100 parameters in a statement. */
const MAX_PARAMETERS = 100;

type Rows = { table: "summaries" | "results"; columns: readonly string[]; rows: Statement["values"][] };

function summariesOf(backups: readonly Backup[]): Rows {
  const rows = backups.flatMap(({ experiment, exposures }) => (exposures === null ? [] : [[experiment.id, exposures]]));
  return { table: "summaries", columns: ["exposures"], rows };
}

function resultsRowsOf(backups: readonly Backup[]): Rows {
  const rows = backups.flatMap(({ experiment: { id }, results }) =>
    results === null ? [] : [[id, results.asOf, results.computedAt, results.lastErrorAt, results.counted]],
  );
  return { table: "results", columns: ["as_of", "computed_at", "last_error_at", "counted"], rows };
}

/** Few statements that add rows of the experiments imported in the same transaction, by their version. */
function insertsOf({ table, columns, rows }: Rows, version: number): Statement[] {
  const perStatement = Math.floor((MAX_PARAMETERS - 1) / (columns.length + 1));
  const values = columns.map((_, index) => `value_${index}`);
  const statements: Statement[] = [];
  for (let from = 0; from < rows.length; from += perStatement) {
    const batch = rows.slice(from, from + perStatement);
    statements.push({
      sql: `WITH imported (imported_id, ${values}) AS (VALUES ${batch.map((row) => `(${row.map(() => "?")})`)})
      INSERT INTO ${table} (experiment_id, ${columns})
      SELECT id, ${values} FROM imported JOIN experiments ON id = imported_id WHERE version = ? AND as_of IS NOT NULL
      ON CONFLICT DO NOTHING`,
      values: [...batch.flat(), version],
    });
  }
  return statements;
}
