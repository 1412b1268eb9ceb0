import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { openD1 } from "../../src/cloudflare/d1.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { type Database, type Row, runOnPrimary } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations.ts";
import { isMigrated } from "../../src/store/schema-version.ts";

const shipped = readMigrations("migrations/d1").toSorted((a, b) => (a.name < b.name ? -1 : 1));

/** Sample rows by the migration that makes them possible. Each new table needs some. */
const rowsAfter: Record<string, string[]> = {
  "0001_experiments.sql": [
    `INSERT INTO experiments (id, name, environment_key, feature_name, variants, started_at, ended_at, created_at,
      updated_at, version, as_of, computed_at, is_final, last_error_at, refresh_requested_at, called_at, exposures)
    VALUES ('full', 'Full: ☃ ''x''', 'env', 'button', '[{"key":"a","weight":0.5}]', 1, 2, 3, 4, 5, 6, 7, 1, 8, 9, 10, '{"a":1}')`,
    `INSERT INTO experiments (id, name, environment_key, feature_name, variants, created_at, updated_at)
    VALUES ('bare', 'bare', 'env', 'other', '[]', 1, 1)`,
    "INSERT INTO webhook_deliveries (id, received_at, receipt) VALUES ('delivery', 1, 'receipt')",
  ],
  "0002_api_keys.sql": [
    `INSERT INTO api_keys (id, sha256, name, environment_key, role, created_at, expires_at)
    VALUES ('k1', 'aa', 'CI', 'env', 'write', 1, 2), ('k2', 'bb', 'all', NULL, 'read', 1, NULL)`,
  ],
  "0004_sweep.sql": ["INSERT INTO sweep_progress (only, resume_after) VALUES (1, 'full')"],
  "0005_alerts.sql": [
    'INSERT INTO health_watches (experiment_id, watch) VALUES (\'full\', \'{"window":{"last":1,"told":1}}\')',
    "INSERT INTO alerts (id, experiment_id, body, failures, due_at) VALUES ('msg_1', 'full', '{}', 2, 1)",
  ],
  "0007_ended_sessions.sql": ["INSERT INTO ended_sessions (id, expires_at) VALUES ('session', 1)"],
};

let opened = 0;
/** With a database for each version. */
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    cf: false,
    modules: true,
    script: "export default { fetch: () => new Response() }",
    d1Databases: shipped.map((_, index) => `DB_${index + 1}`),
  }),
);
afterAll(() => miniflare.dispose());

const databases = [
  {
    name: "SQLite",
    open: async () => {
      const sqlite = openSqlite(":memory:");
      return { database: sqlite, close: async () => sqlite.close() };
    },
  },
  {
    name: "D1",
    open: async () => {
      const database = openD1(await miniflare.getD1Database(`DB_${++opened}`));
      return { database, close: async () => {} };
    },
  },
];

let close = async () => {};
afterEach(() => close());

async function tablesOf(database: Database): Promise<string[]> {
  const sql =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite_*'";
  const names = (await runOnPrimary(database, { sql, values: [] })).map(({ name }) => String(name));
  return names.filter((name) => name !== "d1_migrations").sort();
}

async function rowsByTable(database: Database): Promise<Map<string, Row[]>> {
  const rows = new Map<string, Row[]>();
  for (const table of await tablesOf(database))
    rows.set(table, await runOnPrimary(database, { sql: `SELECT * FROM ${table} ORDER BY 1`, values: [] }));
  return rows;
}

describe.each(databases)("migrate, in $name with rows of an earlier version", ({ open }) => {
  it.each(shipped.map(({ name }, index) => ({ name, version: index + 1 })))(
    "keeps every row when the migrations after $name are applied",
    async ({ version }) => {
      const opened = await open();
      close = opened.close;
      const { database } = opened;
      await expect(isMigrated(database)).rejects.toMatchObject({ reason: "not_migrated" });
      await migrate(database, shipped.slice(0, version));
      expect(await isMigrated(database)).toBe(version === shipped.length);
      for (const { name } of shipped.slice(0, version))
        for (const sql of rowsAfter[name] ?? []) await runOnPrimary(database, { sql, values: [] });
      const before = await rowsByTable(database);
      for (const [table, rows] of before) expect(rows.length, `${table} has rows`).toBeGreaterThan(0);

      await migrate(database, shipped);
      const after = await rowsByTable(database);
      for (const [table, rows] of before)
        expect(after.get(table)).toEqual(rows.map((row) => expect.objectContaining(row)));
    },
  );
});
