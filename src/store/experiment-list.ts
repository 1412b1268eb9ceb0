import type { Experiment, Status } from "../experiment.ts";
import { type Database, numberOrNull, textOrNull } from "./database.ts";
import { EXPERIMENT_COLUMNS, experimentOf, inScope, type Scope, STATUS_AT } from "./experiment-row.ts";

/** An experiment with its numbers, for the list. */
export type ExperimentListEntry = {
  experiment: Experiment;
  asOf: number | null;
  lastErrorAt: number | null;
  /** The `exposures` object as JSON text; null if there is none, or if it is too long for a list. */
  exposures: string | null;
};

export type ListFilter = {
  scope: Scope;
  environmentKey: string | null;
  status: Status | null;
  /** Part of an id, a name or a feature name. The case of ASCII letters is ignored. */
  search: string | null;
  page: number;
};

export const PAGE_SIZE = 20;
/** The maximum length of a summary in the list. */
const MAX_CHARACTERS = 200_000;

const NEWEST_FIRST = "max(updated_at, coalesce(as_of, 0)) DESC, started_at DESC, id";

/** Lists a page of experiments, the most recently edited or refreshed first. */
export async function searchExperiments(
  database: Database,
  { scope, environmentKey, status, search, page }: ListFilter,
  now: number,
): Promise<{ shown: ExperimentListEntry[]; isLast: boolean }> {
  const conditions = [inScope("?1"), "(?2 IS NULL OR environment_key = ?2)"];
  conditions.push("(?3 IS NULL OR instr(lower(id || char(10) || name || char(10) || feature_name), lower(?3)) > 0)");
  if (status !== null) conditions.push(STATUS_AT[status].replace("?", "?4"));
  const rows = await database.read({
    sql: `SELECT ${EXPERIMENT_COLUMNS}, as_of, last_error_at,
      CASE WHEN length(exposures) <= ${MAX_CHARACTERS} THEN exposures END AS exposures
    FROM experiments LEFT JOIN summaries ON experiment_id = id WHERE id IN (
      SELECT id FROM experiments WHERE ${conditions.join(" AND ")}
      ORDER BY ${NEWEST_FIRST} LIMIT ?5 OFFSET ?6
    )
    ORDER BY ${NEWEST_FIRST}`,
    values: [scope, environmentKey, search, now, PAGE_SIZE + 1, page * PAGE_SIZE],
  });
  const shown = rows.slice(0, PAGE_SIZE).map((row) => ({
    experiment: experimentOf(row),
    asOf: numberOrNull(row, "as_of"),
    lastErrorAt: numberOrNull(row, "last_error_at"),
    exposures: textOrNull(row, "exposures"),
  }));
  return { shown, isLast: rows.length <= PAGE_SIZE };
}

/** Lists the environments to filter by, at most 100. */
export async function listEnvironments(database: Database, scope: Scope): Promise<string[]> {
  const rows = await database.read({
    sql: `SELECT DISTINCT environment_key FROM experiments WHERE ${inScope("?1")} ORDER BY environment_key LIMIT 100`,
    values: [scope],
  });
  return rows.map((row) => String(row["environment_key"]));
}
