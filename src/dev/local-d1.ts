import { cpSync, existsSync, globSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import type { unstable_getMiniflareWorkerOptions } from "wrangler";
import { readMigrations } from "../deno/read-migrations.ts";
import { openSqlite } from "../deno/sqlite.ts";
import { migrate } from "../store/migrations.ts";

/** The options of a Worker from its wrangler.toml, for Miniflare. */
export type WorkerOptions = ReturnType<typeof unstable_getMiniflareWorkerOptions>["workerOptions"];

/** The folder of D1 in a state of Miniflare. */
const D1 = "d1";

/** The options that every local Miniflare shares. It keeps its state in a folder, and neither logs nor fetches anything. */
export const miniflareOptions = (resourcePersistencePath: string) =>
  ({ host: "127.0.0.1", cf: false, log: new NoOpLog(), resourcePersistencePath }) as const;

/** Creates the state of an empty D1 in a folder. It takes a workerd, because the name of its file is Miniflare's. */
export async function createEmptyD1(folder: string, options: WorkerOptions): Promise<void> {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...miniflareOptions(folder),
      port: 0,
      workers: [
        {
          ...options,
          name: "empty",
          modules: [{ type: "ESModule", path: "worker.js", contents: "export default {}" }],
          durableObjects: {},
        },
      ],
    }),
  );
  try {
    await (await miniflare.getD1Database("DB")).prepare("SELECT 1").run();
  } finally {
    await miniflare.dispose();
  }
}

/**
 * Migrates the D1 of a state, which no workerd may have open. It works on the file, because workerd reaches a database
 * only while its port is open, and clients would get a 503 until the migration ends.
 * @param empty the folder of an empty D1, for a state without one
 */
export async function migrateD1(state: string, empty: string): Promise<void> {
  if (!existsSync(join(state, D1))) {
    // Renamed, so that a signal leaves no half of it.
    const copy = join(state, `${D1}.new`);
    rmSync(copy, { recursive: true, force: true });
    cpSync(join(empty, D1), copy, { recursive: true });
    renameSync(copy, join(state, D1));
  }
  const database = openSqlite(findD1(state));
  try {
    await migrate(database, readMigrations("migrations/d1"));
  } finally {
    database.close();
  }
}

/** The SQLite file of the D1 of a state. */
export function findD1(state: string): string {
  const [file] = globSync(join(state, D1, "miniflare-D1DatabaseObject/*.sqlite"), {
    exclude: (path) => path.endsWith("metadata.sqlite"),
  });
  if (file === undefined) throw new Error(`${state} has no database. Set STATE_DIR to another folder.`);
  return file;
}
