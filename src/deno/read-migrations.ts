import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Migration } from "../store/migrations.ts";

/** The migrations of a folder, as files hold them. */
export function readMigrations(folder: string): Migration[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".sql"));
  return names.map((name) => ({ name, sql: readFileSync(join(folder, name), "utf8") }));
}
