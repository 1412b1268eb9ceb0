import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Database, Statement } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations.ts";

/** A database with a primary, and a replica that has no write until `catchUp` is called. */
export async function openLagging() {
  const [primary, replica] = [openSqlite(":memory:"), openSqlite(":memory:")];
  for (const each of [primary, replica]) await migrate(each, readMigrations("migrations/d1"));
  let backlog: (readonly Statement[])[] = [];
  /** The hook between a read of the replica and its response. */
  const hooks = { duringRead: async () => {} };
  const database: Database = {
    async read(statement) {
      const rows = await replica.read(statement);
      await hooks.duringRead();
      return rows;
    },
    async transact(statements) {
      const rows = await primary.transact(statements);
      backlog.push(statements);
      return rows;
    },
  };
  /** Applies the oldest writes to the replica; all of them by default. */
  async function catchUp(count = backlog.length): Promise<void> {
    for (const statements of backlog.slice(0, count)) await replica.transact(statements);
    backlog = backlog.slice(count);
  }
  return { database, catchUp, hooks };
}
