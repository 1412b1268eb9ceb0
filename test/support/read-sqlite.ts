import { DatabaseSync } from "node:sqlite";
import type { Row } from "../../src/store/database.ts";

const TIMEOUT_MS = 5_000;

/** Runs a statement that writes on a file that a runtime has open. */
export function writeSqlite(file: string, sql: string): void {
  const sqlite = new DatabaseSync(file, { timeout: TIMEOUT_MS });
  try {
    sqlite.exec(sql);
  } finally {
    sqlite.close();
  }
}

/** Reads a file that a runtime has open. The connection is kept, because opening one takes milliseconds. */
export function createSqliteReader(file: string) {
  let sqlite: DatabaseSync | null = null;
  return {
    /** Runs a SELECT. */
    select: async (sql: string): Promise<Row[]> => {
      sqlite ??= new DatabaseSync(file, { readOnly: true, timeout: TIMEOUT_MS });
      return sqlite.prepare(sql).all();
    },
    /** Closes the file until the next SELECT, so that a runtime that starts is the first to open it. */
    close() {
      sqlite?.close();
      sqlite = null;
    },
  };
}
