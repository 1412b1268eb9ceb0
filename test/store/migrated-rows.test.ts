import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import {
  type Database,
  DatabaseUnavailable,
  type Row,
  runOnPrimary,
  type Statement,
} from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations.ts";
import { isMigrated } from "../../src/store/schema-version.ts";

const shipped = readMigrations("migrations/d1").toSorted((a, b) => (a.name < b.name ? -1 : 1));

/** Sample rows by the migration that makes them possible. Each new table needs some. */
const rowsAfter: Record<string, string[]> = {
  "0001_experiments.sql": [
    `INSERT INTO experiments (id, name, environment_key, feature_name, variants, started_at, ended_at, created_at,
      updated_at, version, as_of, computed_at, is_final, last_error_at, refresh_requested_at, called_at, exposures)
    VALUES ('full', 'Full: ☃ ''x''', 'env', 'button', '[{"key":"a","weight":0.5}]', 1, 2, 3, 4, 5, 6, 7, 1, 8, 9, 10,
      '{"total_identities":3,"excluded_identities":2,"text":"☃' || hex(zeroblob(900000)) || '"}')`,
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
    `INSERT INTO health_watches (experiment_id, watch)
    VALUES ('full', '{"window":{"last":1,"told":2},"__proto__":{"last":2,"told":0}}'), ('deleted', '{"window":{"last":1,"told":1}}')`,
    "INSERT INTO alerts (id, experiment_id, body, failures, due_at) VALUES ('msg_1', 'full', '{}', 2, 1)",
  ],
  "0006_summaries.sql": [
    `INSERT INTO experiments (id, name, environment_key, feature_name, variants, created_at, updated_at, identities)
    VALUES ('new', 'new', 'env', 'new', '[]', 1, 1, 5)`,
    "INSERT INTO summaries (experiment_id, exposures) VALUES ('new', '{}')",
    "INSERT INTO health_histories (experiment_id, history) VALUES ('new', '{}')",
  ],
  "0009_alerts_and_idle.sql": [
    "INSERT INTO alerts (id, experiment_id, body, failures, due_at) VALUES ('msg_2', NULL, '{}', 0, 1)",
    "INSERT INTO refresh_failures (experiment_id, since, kind) VALUES ('new', 1, 'timeout')",
    "INSERT INTO failing_alert (only, experiments) VALUES (1, 1)",
  ],
  "0010_results.sql": ["INSERT INTO results (experiment_id, as_of, counted) VALUES ('new', 1, '[]')"],
  "0011_result_histories.sql": ["INSERT INTO result_histories (experiment_id, history) VALUES ('new', '{}')"],
  "0013_flagsmith.sql": [
    "INSERT INTO flagsmith_environments (environment_key, listed_at, notes) VALUES ('env', 1, '[]')",
    "INSERT INTO flagsmith_experiments VALUES ('env', 'flagsmith-1', '2026-06-01T00:00:00Z', 'null', 1)",
    "INSERT INTO flagsmith_sync (only, started_at) VALUES (1, 1)",
  ],
  "0015_flagsmith_webhooks.sql": ["INSERT INTO flagsmith_webhooks (environment_key, received) VALUES ('env', 1)"],
  "0007_ended_sessions.sql": ["INSERT INTO ended_sessions (id, expires_at) VALUES ('session', 1)"],
};

/** The rows that 0006_summaries.sql makes of those before it. */
function movedToSummaries(before: Map<string, Row[]>): Map<string, Row[]> {
  if (before.has("summaries")) return before;
  const after = new Map(before);
  const experiments = before.get("experiments") ?? [];
  after.set(
    "experiments",
    experiments.map(({ called_at, exposures, ...row }) => ({
      ...row,
      manually_requested_at: called_at,
      identities: exposures === null ? null : 5,
    })),
  );
  after.set(
    "summaries",
    experiments.flatMap(({ id, exposures }) => (exposures === null ? [] : [{ experiment_id: id, exposures }])),
  );
  after.delete("health_watches");
  const history = '{"window":{"last":1,"alerted":2},"__proto__":{"last":2,"alerted":0}}';
  after.set("health_histories", before.has("health_watches") ? [{ experiment_id: "full", history }] : []);
  return after;
}

let opened = 0;
/** With a database for each version. A Worker runs the statements, because Miniflare's own D1 calls block this process. */
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    cf: false,
    modules: true,
    script: `export default {
      async fetch(request, env) {
        const { binding, statements } = await request.json();
        const prepared = statements.map(({ sql, values }) => env[binding].prepare(sql).bind(...values));
        const answers = await env[binding].batch(prepared).catch((error) => String(error));
        return Response.json(answers);
      },
    }`,
    d1Databases: shipped.map((_, index) => `DB_${index + 1}`),
  }),
);
afterAll(() => miniflare.dispose());

/** Runs the statements of a transaction in D1. */
async function transactInD1(binding: string, statements: readonly Statement[]): Promise<Row[][]> {
  const body = JSON.stringify({ binding, statements });
  const answers: { results: Row[] }[] | string = await (
    await fetch(await miniflare.ready, { method: "POST", body })
  ).json();
  if (typeof answers === "string") throw DatabaseUnavailable.because(answers);
  return answers.map(({ results }) => results);
}

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
      const binding = `DB_${++opened}`;
      const transact = (statements: readonly Statement[]) => transactInD1(binding, statements);
      const read = async (statement: Statement) => (await transact([statement]))[0] ?? [];
      return { database: { read, transact }, close: async () => {} };
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
      for (const [index, { name }] of shipped.slice(0, version).entries()) {
        const rows = rowsAfter[name];
        if (rows === undefined) continue;
        await migrate(database, shipped.slice(0, index + 1));
        for (const sql of rows) await runOnPrimary(database, { sql, values: [] });
      }
      await migrate(database, shipped.slice(0, version));
      expect(await isMigrated(database)).toBe(version === shipped.length);
      const before = await rowsByTable(database);
      for (const [table, rows] of before) expect(rows.length, `${table} has rows`).toBeGreaterThan(0);

      await migrate(database, shipped);
      const after = await rowsByTable(database);
      for (const [table, rows] of movedToSummaries(before))
        expect(after.get(table)).toEqual(rows.map((row) => expect.objectContaining(row)));
      expect([...after.keys()]).not.toContain("health_watches");
      // Requests of the version before are due at once.
      for (const row of after.get("experiments") ?? [])
        expect(row).toMatchObject({
          source: "api",
          refresh_due_at: row["refresh_requested_at"],
          failures: 0,
          rebuild_requested: 0,
        });
    },
  );
});
