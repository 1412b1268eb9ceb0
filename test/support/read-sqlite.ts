import { DatabaseSync } from "node:sqlite";
import type { Row } from "../../src/store/database.ts";

/** Runs a statement that writes on a file that a runtime has open. */
export function writeSqlite(file: string, sql: string): void {
  const sqlite = new DatabaseSync(file, { timeout: 5_000 });
  try {
    sqlite.exec(sql);
  } finally {
    sqlite.close();
  }
}

/** Runs a SELECT on a file that a runtime has open. */
export function readSqlite(file: string, sql: string): Row[] {
  const sqlite = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  try {
    return sqlite.prepare(sql).all();
  } finally {
    sqlite.close();
  }
}
