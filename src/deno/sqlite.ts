import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Database, DatabaseUnavailable, type Row, type Statement } from "../store/database.ts";

/**
 * Opens a SQLite file behind the interface of D1, with the same statements and migrations. The connection is the only
 * writer, and a transaction runs from begin to commit without yielding.
 */
export function openSqlite(path: string): Database & { close(): void } {
  const sqlite = new DatabaseSync(path);
  sqlite.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
    PRAGMA foreign_keys = ON`);
  const prepared = new Map<string, StatementSync>();

  function run({ sql, values }: Statement): Row[] {
    let statement = prepared.get(sql);
    if (statement === undefined) {
      statement = sqlite.prepare(sql);
      prepared.set(sql, statement);
    }
    return statement.all(...values);
  }

  async function transact(statements: readonly Statement[]): Promise<Row[][]> {
    try {
      const [only, ...others] = statements;
      // One statement is a transaction by itself. A read then needs no lock.
      if (only !== undefined && others.length === 0) return [run(only)];
      sqlite.exec("BEGIN IMMEDIATE");
      const rows = statements.map(run);
      sqlite.exec("COMMIT");
      return rows;
    } catch (error) {
      if (sqlite.isTransaction) sqlite.exec("ROLLBACK");
      throw DatabaseUnavailable.because(error);
    }
  }

  return {
    async read(statement) {
      try {
        return run(statement);
      } catch (error) {
        throw DatabaseUnavailable.because(error);
      }
    },
    transact,
    close: () => sqlite.close(),
  };
}
