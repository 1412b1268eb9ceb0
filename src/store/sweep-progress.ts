import { IDLE_INTERVAL_MS } from "../exposures/idle.ts";
import { type Database, numberOf, numberOrNull, runOnPrimary, textOf } from "./database.ts";
import { NEEDS_REFRESH } from "./experiment-row.ts";

/** The ids after `after` up to and including `upTo`; null: to the end. */
export type IdRange = { after: string; upTo: string | null };

/** The age from which numbers of an idle experiment are due. The minute less allows for sweeps that are not punctual. */
const MIN_IDLE_AGE_MS = IDLE_INTERVAL_MS - 60_000;

// A condition on ?1 to ?3: a sweep at ?1 must refresh this experiment, and its id is in the range. Numbers from the future
// are due, because the clock has been set back since.
const IS_DUE = `${NEEDS_REFRESH} AND started_at <= ?1 AND id > ?2 AND (?3 IS NULL OR id <= ?3)
  AND (is_idle = 0 OR refresh_requested_at IS NOT NULL OR as_of NOT BETWEEN ?1 - ${MIN_IDLE_AGE_MS - 1} AND ?1)`;

/** Lists a page of the experiments in the range that a sweep at `now` must refresh. */
export async function listDueExperiments(
  database: Database,
  now: number,
  { after, upTo }: IdRange,
  limit: number,
): Promise<string[]> {
  const rows = await runOnPrimary(database, {
    sql: `SELECT id FROM experiments WHERE ${IS_DUE} ORDER BY id LIMIT ?4`,
    values: [now, after, upTo, limit],
  });
  return rows.map((row) => textOf(row, "id"));
}

/** Counts the experiments due in these ranges. `firstAsOf` is the `as_of` of the first one. */
export async function countDueExperiments(
  database: Database,
  now: number,
  ranges: readonly IdRange[],
): Promise<{ count: number; firstAsOf: number | null }> {
  const results = await database.transact(
    ranges.flatMap(({ after, upTo }) => [
      { sql: `SELECT count(*) AS count FROM experiments WHERE ${IS_DUE}`, values: [now, after, upTo] },
      { sql: `SELECT as_of FROM experiments WHERE ${IS_DUE} ORDER BY id LIMIT 1`, values: [now, after, upTo] },
    ]),
  );
  const counts = results.filter((_, index) => index % 2 === 0).map(([row]) => (row ? numberOf(row, "count") : 0));
  const first = results.filter((_, index) => index % 2 === 1).flat()[0];
  return {
    count: counts.reduce((sum, count) => sum + count, 0),
    firstAsOf: first === undefined ? null : numberOrNull(first, "as_of"),
  };
}

/** Records the sweep scheduled for `now`, and returns the id after which it starts; empty: at the first id. */
export async function beginSweep(database: Database, now: number): Promise<string> {
  const [row] = await runOnPrimary(database, {
    sql: `INSERT INTO sweep_progress (only, resume_after, last_sweep_at) VALUES (1, '', ?1)
      ON CONFLICT DO UPDATE SET last_sweep_at = ?1 RETURNING resume_after`,
    values: [now],
  });
  return row === undefined ? "" : textOf(row, "resume_after");
}

/** The scheduled time of the last sweep; null: none has run yet. */
export async function getLastSweepAt(database: Database): Promise<number | null> {
  const [row] = await runOnPrimary(database, { sql: "SELECT last_sweep_at FROM sweep_progress", values: [] });
  return row === undefined ? null : numberOrNull(row, "last_sweep_at");
}

export async function saveSweepProgress(database: Database, resumeAfter: string): Promise<void> {
  await runOnPrimary(database, {
    sql: "UPDATE sweep_progress SET resume_after = ?",
    values: [resumeAfter],
  });
}
