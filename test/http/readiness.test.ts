import { readdirSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Database } from "../../src/store/database.ts";
import { DatabaseUnavailable } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations.ts";
import { NEWEST_MIGRATION } from "../../src/store/schema-version.ts";
import { appDeps } from "../support/app-deps.ts";

// On a real SQLite database, which can be full or lack migrations. Only an outage is simulated.

const migrations = readMigrations("migrations/d1");
let now: number;
let sqlite: ReturnType<typeof openSqlite>;
let isDown: boolean;
let transactions: number;
let events: unknown[];
beforeEach(() => {
  now = Date.UTC(2026, 5, 1);
  sqlite = openSqlite(":memory:");
  isDown = false;
  transactions = 0;
  events = [];
});

function start() {
  const database: Database = {
    read: (statement) => sqlite.read(statement),
    async transact(statements) {
      transactions += 1;
      if (isDown) throw DatabaseUnavailable.because(new Error("D1_ERROR: Network connection lost."));
      return sqlite.transact(statements);
    },
  };
  const log = (_: string, event: string, fields: unknown) => void events.push({ event, ...Object(fields) });
  const app = createApp(appDeps({ ADMIN_TOKEN: "admin" }, database, { clock: () => now, log }));
  return async (method: string, path: string, body?: object) => {
    const headers = { Authorization: "Bearer admin", "Content-Type": "application/json" };
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await app.request(path, init, {});
    const text = await response.text();
    return { status: response.status, text };
  };
}

const READY = { status: 200, text: '{"status":"ready"}' };
const notReady = { status: 503, text: expect.stringContaining("urn:edge-exposures:problem:not-ready") };

/** Stops SQLite from adding pages to the database. */
async function fillUp(): Promise<void> {
  const [[row] = []] = await sqlite.transact([{ sql: "SELECT page_count FROM pragma_page_count", values: [] }]);
  await sqlite.transact([{ sql: `PRAGMA max_page_count = ${row?.["page_count"]}`, values: [] }]);
}

describe("GET /readyz", () => {
  it("returns 200 if the database answers and is migrated", async () => {
    await migrate(sqlite, migrations);
    expect(await start()("GET", "/readyz")).toEqual(READY);
    expect(events).toEqual([]);
  });

  it.each([
    { database: "an empty database", applied: [] },
    { database: "a database without the newest migration", applied: migrations.slice(0, -1) },
  ])("returns 503 for $database, and logs what to do", async ({ applied }) => {
    if (applied.length > 0) await migrate(sqlite, applied);
    const call = start();
    expect(await call("GET", "/readyz")).toEqual(notReady);
    expect(events).toEqual([
      expect.objectContaining({
        event: "database.not_migrated",
        error: expect.stringContaining("Apply the migrations in migrations/d1."),
      }),
    ]);
    expect((await call("GET", "/healthz")).status).toBe(200);
  });

  it("returns 503 during an outage, without details", async () => {
    await migrate(sqlite, migrations);
    isDown = true;
    const { status, text } = await start()("GET", "/readyz");
    expect(status).toBe(503);
    expect(text).not.toMatch(/D1|SELECT|database/i);
    expect(events).toEqual([expect.objectContaining({ event: "database.unavailable" })]);
  });

  it("returns 503 for a minute after a write found the database full", async () => {
    await migrate(sqlite, migrations);
    const call = start();
    await fillUp();
    const variants = Array.from({ length: 20 }, (_, index) => ({ key: `${index}${"x".repeat(200)}`, weight: 1 }));
    const body = { environment_key: "env", feature_name: "button", variants };
    expect((await call("PUT", "/v1/experiments/full", body)).status).toBe(503);
    expect(events).toEqual([
      expect.objectContaining({ event: "database.full", error: expect.stringContaining("The database is full.") }),
    ]);
    expect(await call("GET", "/readyz")).toEqual(notReady);
    now += 60_000;
    expect(await call("GET", "/readyz")).toEqual(READY);
  });

  it("reads the database at most once a second", async () => {
    await migrate(sqlite, migrations);
    const call = start();
    for (let count = 0; count < 20; count += 1) await call("GET", "/readyz");
    expect(transactions).toBe(1);
    isDown = true;
    now += 999;
    expect(await call("GET", "/readyz")).toEqual(READY);
    now += 1;
    const answers = await Promise.all([call("GET", "/readyz"), call("GET", "/readyz")]);
    expect(answers).toEqual([notReady, READY]);
    for (let count = 0; count < 20; count += 1) expect(await call("GET", "/readyz")).toEqual(notReady);
    expect(transactions).toBe(2);
    expect(events).toHaveLength(1);
    isDown = false;
    now += 1_000;
    expect(await call("GET", "/readyz")).toEqual(READY);
  });

  it("knows the newest migration", () => {
    expect(readdirSync("migrations/d1").sort().at(-1)).toBe(NEWEST_MIGRATION);
  });
});

describe("a request that the database fails", () => {
  it("gets a 503 without details, whatever the reason", async () => {
    const answer = await start()("GET", "/v1/experiments");
    expect(answer.status).toBe(503);
    expect(answer.text).not.toMatch(/migration|table|SELECT/);
    expect(events).toEqual([expect.objectContaining({ event: "database.not_migrated" })]);
  });
});

describe("DatabaseUnavailable.because", () => {
  it.each([
    { text: "D1_ERROR: no such table: experiments: SQLITE_ERROR", reason: "not_migrated" },
    { text: "D1_ERROR: no such column: as_of at offset 7: SQLITE_ERROR", reason: "not_migrated" },
    { text: "D1_ERROR: table api_keys has no column named role: SQLITE_ERROR", reason: "not_migrated" },
    { text: "D1_ERROR: Exceeded maximum DB size.", reason: "full" },
    { text: "D1_ERROR: database or disk is full: SQLITE_FULL", reason: "full" },
    { text: "D1_ERROR: Network connection lost.", reason: "outage" },
    { text: "D1_ERROR: D1 DB is overloaded. Too many requests queued.", reason: "outage" },
    { text: "no answer within 5000 ms", reason: "outage" },
  ])("reads $reason from the text $text", ({ text, reason }) => {
    expect(DatabaseUnavailable.because(new Error(text)).reason).toBe(reason);
  });
});
