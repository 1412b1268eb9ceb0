import { type Database, numberOf, numberOrNull, primary, textOf } from "./database.ts";

/** Ids after `after`, up to and with `upTo` (null: to the end), in their order. */
export type Arc = { after: string; upTo: string | null };

// The parameters ?1 to ?3: what a sweep at ?1 must refresh.
const TO_SWEEP = "is_final = 0 AND started_at <= ?1 AND id > ?2 AND (?3 IS NULL OR id <= ?3)";

/** A page of the experiments that a sweep at `now` must refresh. */
export async function listToSweep(
  database: Database,
  now: number,
  { after, upTo }: Arc,
  limit: number,
): Promise<string[]> {
  const rows = await primary(database, {
    sql: `SELECT id FROM experiments WHERE ${TO_SWEEP} ORDER BY id LIMIT ?4`,
    values: [now, after, upTo, limit],
  });
  return rows.map((row) => textOf(row, "id"));
}

/** How many of them lie on these arcs, and as of when the numbers of the first are. */
export async function countToSweep(
  database: Database,
  now: number,
  arcs: readonly Arc[],
): Promise<{ count: number; firstAsOf: number | null }> {
  const results = await database.transact(
    arcs.flatMap(({ after, upTo }) => [
      { sql: `SELECT count(*) AS count FROM experiments WHERE ${TO_SWEEP}`, values: [now, after, upTo] },
      { sql: `SELECT as_of FROM experiments WHERE ${TO_SWEEP} ORDER BY id LIMIT 1`, values: [now, after, upTo] },
    ]),
  );
  const counts = results.filter((_, index) => index % 2 === 0).map(([row]) => (row ? numberOf(row, "count") : 0));
  const first = results.filter((_, index) => index % 2 === 1).flat()[0];
  return {
    count: counts.reduce((sum, count) => sum + count, 0),
    firstAsOf: first === undefined ? null : numberOrNull(first, "as_of"),
  };
}

/** The id after which the next sweep begins; empty: at the first. */
export async function getSweepProgress(database: Database): Promise<string> {
  const [row] = await primary(database, { sql: "SELECT resume_after FROM sweep_progress", values: [] });
  return row === undefined ? "" : textOf(row, "resume_after");
}

export async function saveSweepProgress(database: Database, resumeAfter: string): Promise<void> {
  await primary(database, {
    sql: "INSERT INTO sweep_progress (only, resume_after) VALUES (1, ?1) ON CONFLICT DO UPDATE SET resume_after = ?1",
    values: [resumeAfter],
  });
}
