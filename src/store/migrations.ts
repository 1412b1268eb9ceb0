import { rootMessage } from "../log.ts";
import { type Database, type Statement, textOf } from "./database.ts";

export type Migration = { name: string; sql: string };

/**
 * Applies the pending migrations, each file in one transaction. It keeps wrangler's own table of applied migrations, so
 * that either tool can continue where the other one stopped.
 * Throws an error that names the migration if one fails.
 * In a migration, every statement ends with a semicolon at the end of a line, and nothing else does.
 */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<void> {
  const statement = (sql: string): Statement => ({ sql, values: [] });
  await database.transact([
    statement(`CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,
      applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`),
  ]);
  const [rows = []] = await database.transact([statement("SELECT name FROM d1_migrations")]);
  const applied = new Set(rows.map((row) => textOf(row, "name")));
  for (const { name, sql } of [...migrations].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (applied.has(name)) continue;
    const record = { sql: "INSERT INTO d1_migrations (name) VALUES (?)", values: [name] };
    try {
      await database.transact([...statementsOf(sql).map(statement), record]);
    } catch (error) {
      throw new Error(`The migration ${name} failed: ${rootMessage(error)}`, { cause: error });
    }
  }
}

function statementsOf(sql: string): string[] {
  return sql.split(/;[^\S\n]*(?=\n|$)/).filter((text) => text.replaceAll(/--.*/g, "").trim() !== "");
}
