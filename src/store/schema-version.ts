import { type Database, runOnPrimary } from "./database.ts";

/** The newest file in migrations/d1. A test compares them. */
export const NEWEST_MIGRATION = "0015_flagsmith_webhooks.sql";

/** Returns whether the newest migration has been applied. */
export async function isMigrated(database: Database): Promise<boolean> {
  const rows = await runOnPrimary(database, {
    sql: "SELECT 1 FROM d1_migrations WHERE name = ?",
    values: [NEWEST_MIGRATION],
  });
  return rows.length > 0;
}
