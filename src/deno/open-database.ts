import { join } from "node:path";
import { rootMessage } from "../log.ts";
import { failed, ok, type Result } from "../result.ts";
import { DatabaseUnavailable } from "../store/database.ts";
import { migrate } from "../store/migrations.ts";
import { readMigrations } from "./read-migrations.ts";
import { openSqlite } from "./sqlite.ts";
import { type StartFailure, serviceFailed, unusableFolder } from "./start-failure.ts";

type SqliteFile = ReturnType<typeof openSqlite>;

/** Opens the SQLite file in `stateDir`, and applies pending migrations. */
export async function openDatabase(stateDir: string): Promise<Result<SqliteFile, StartFailure>> {
  const file = join(stateDir, "edge-exposures.sqlite");
  let sqlite: SqliteFile;
  try {
    sqlite = openSqlite(file);
  } catch (error) {
    return failed(describeFailure(error, file) ?? unusableFolder(stateDir, error));
  }
  try {
    await migrate(sqlite, readMigrations("migrations/d1"));
    return ok(sqlite);
  } catch (error) {
    sqlite.close();
    return failed(describeFailure(error, file) ?? describeMigration(error, file));
  }
}

function describeMigration(error: unknown, file: string): StartFailure {
  // Only a migration that fails has an error of its own, which names it.
  if (error instanceof Error && !(error instanceof DatabaseUnavailable))
    return serviceFailed(`${error.message}. Restore the backup from before the upgrade.`);
  return serviceFailed(`${file} can't be migrated: ${rootMessage(error)}. Check its permissions and its disk.`);
}

function describeFailure(error: unknown, file: string): StartFailure | undefined {
  const cause = rootMessage(error);
  if (/\bdatabase is locked\b/.test(cause))
    return serviceFailed(`${file} is locked by another process. End that process, then start the service again.`);
  if (/\bnot a database\b|\bmalformed\b/.test(cause))
    return serviceFailed(`${file} is damaged (${cause}). Restore a backup, see docs/deploy-deno.md.`);
  if (/\bdatabase or disk is full\b/.test(cause))
    return serviceFailed(`The disk of ${file} is full. Free some space, then start the service again.`);
  return undefined;
}
