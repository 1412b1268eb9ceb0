import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { buildWorker } from "../../src/dev/build-worker.ts";
import { findD1, migrateD1 } from "../../src/dev/local-d1.ts";
import { migrate } from "../../src/store/migrations.ts";

const migrations = readMigrations("migrations/d1").sort((a, b) => (a.name < b.name ? -1 : 1));
let empty: string;
beforeAll(async () => {
  ({ emptyD1: empty } = await buildWorker());
});

function createState(): string {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-d1-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function withD1<Value>(state: string, use: (database: ReturnType<typeof openSqlite>) => Promise<Value>) {
  const database = openSqlite(findD1(state));
  return use(database).finally(() => database.close());
}

/** The names of the applied migrations. */
const appliedIn = (state: string) =>
  withD1(state, async (database) => {
    const rows = await database.read({ sql: "SELECT name FROM d1_migrations ORDER BY id", values: [] });
    return rows.map(({ name }) => name);
  });
const all = migrations.map(({ name }) => name);

it("a new state gets a D1 with all migrations", async () => {
  const state = createState();
  await migrateD1(state, empty);
  expect(await appliedIn(state)).toEqual(all);
});

it("the D1 of an older version gets the migrations that it lacks, and keeps its rows", async () => {
  const state = createState();
  cpSync(empty, state, { recursive: true });
  const insert = "INSERT INTO experiments (id, name, environment_key, feature_name, variants, created_at, updated_at)";
  await withD1(state, async (database) => {
    await migrate(database, migrations.slice(0, 1));
    await database.transact([{ sql: `${insert} VALUES ('old', 'old', 'e', 'f', '[]', 1, 1)`, values: [] }]);
  });
  await migrateD1(state, empty);
  expect(await appliedIn(state)).toEqual(all);
  const rows = await withD1(state, (database) => database.read({ sql: "SELECT id FROM experiments", values: [] }));
  expect(rows.map(({ id }) => id)).toEqual(["old"]);
});

it("a copy that a signal interrupted is made again", async () => {
  const state = createState();
  mkdirSync(join(state, "d1.new/miniflare-D1DatabaseObject"), { recursive: true });
  writeFileSync(join(state, "d1.new/miniflare-D1DatabaseObject/half.sqlite"), "half");
  await migrateD1(state, empty);
  expect(await appliedIn(state)).toEqual(all);
  expect(readdirSync(state)).toEqual(["d1"]);
});

it("a state without the file of its D1 is named, with what to do", async () => {
  const state = createState();
  mkdirSync(join(state, "d1"));
  await expect(migrateD1(state, empty)).rejects.toThrow(`${state} has no database. Set STATE_DIR to another folder.`);
});
