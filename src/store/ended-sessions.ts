import { type Database, runOnPrimary } from "./database.ts";

/** Records the end of a session until it would have expired, and deletes the records of sessions expired at `now`. */
export async function endSession(database: Database, id: string, expiresAt: number, now: number): Promise<void> {
  await database.transact([
    {
      sql: "INSERT INTO ended_sessions (id, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
      values: [id, expiresAt],
    },
    { sql: "DELETE FROM ended_sessions WHERE expires_at <= ?", values: [now] },
  ]);
}

/** Reads from the primary, because a lagging replica may not have the end yet. */
export async function isSessionEnded(database: Database, id: string): Promise<boolean> {
  const rows = await runOnPrimary(database, { sql: "SELECT 1 FROM ended_sessions WHERE id = ?", values: [id] });
  return rows.length > 0;
}
