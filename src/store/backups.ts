import type { Experiment } from "../experiment.ts";
import {
  changing,
  type Database,
  flagOf,
  numberOrNull,
  primary,
  type Statement,
  textOf,
  textOrNull,
} from "./database.ts";
import { definitionValues, EXPERIMENT_COLUMNS, experimentOf, isFeatureFree } from "./experiments.ts";

/** An experiment with all that is worth keeping of it: its numbers too, since their events may have expired. */
export type Backup = {
  experiment: Experiment;
  asOf: number | null;
  computedAt: number | null;
  lastErrorAt: number | null;
  isFinal: boolean;
  /** The `exposures` object as JSON text. */
  exposures: string | null;
};

const BACKUP_COLUMNS = `${EXPERIMENT_COLUMNS}, as_of, computed_at, last_error_at, is_final, exposures`;
/** A page holds no more rows than this, and no more bytes of summaries, but for its last row. */
const PAGE = { rows: 100, bytes: 2_000_000 };

/** The experiments that follow an id, in the order of their ids: some of them, and none only if there are none. */
export async function listBackups(database: Database, after: string): Promise<Backup[]> {
  const rows = await primary(database, {
    sql: `SELECT * FROM (
      SELECT ${BACKUP_COLUMNS}, sum(length(exposures)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        AS bytes_before
      FROM experiments WHERE id > ? ORDER BY id LIMIT ?
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
  }));
}

export type Imported = { imported: string[]; skipped: { experimentId: string; reason: "exists" | "feature_taken" }[] };

/**
 * Adds the experiments that are not there, and changes none that is. Not more than some hundred in one call.
 *
 * The version of a row begins at `now` in milliseconds, which no row has reached by counting: so no ETag of a row that
 * had the same id and creation before is given out again.
 */
export async function importBackups(database: Database, backups: readonly Backup[], now: number): Promise<Imported> {
  const insert = ({ experiment, ...summary }: Backup): Statement => ({
    sql: `INSERT INTO experiments (${BACKUP_COLUMNS}, version)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15
    WHERE ${isFeatureFree("?15")}
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
    ],
  });
  const ids = backups.map(({ experiment }) => experiment.id);
  const before = {
    sql: "SELECT id FROM experiments WHERE id IN (SELECT value FROM json_each(?))",
    values: [JSON.stringify(ids)],
  };
  const write = database.transact([before, ...backups.map(insert)]);
  const [existing = [], ...inserted] = await changing(database, ids, write);
  const exists = new Set(existing.map((row) => textOf(row, "id")));
  const outcome: Imported = { imported: [], skipped: [] };
  for (const [index, id] of ids.entries()) {
    if (inserted[index]?.[0] !== undefined) {
      outcome.imported.push(id);
      exists.add(id);
    } else outcome.skipped.push({ experimentId: id, reason: exists.has(id) ? "exists" : "feature_taken" });
  }
  return outcome;
}
