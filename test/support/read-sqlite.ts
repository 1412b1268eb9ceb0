import { DatabaseSync } from "node:sqlite";
import type { Row } from "../../src/store/database.ts";

/** Runs a SELECT on a file that a runtime has open. */
export function readSqlite(file: string, sql: string): Row[] {
  const sqlite = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  try {
    return sqlite.prepare(sql).all();
  } finally {
    sqlite.close();
  }
}
