import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Migration } from "../store/migrations.ts";

/** Reads the migrations in a folder. */
export function readMigrations(folder: string): Migration[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".sql"));
  return names.map((name) => ({ name, sql: readFileSync(join(folder, name), "utf8") }));
}
