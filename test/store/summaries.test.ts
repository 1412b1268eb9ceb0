import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { type Database, runOnPrimary } from "../../src/store/database.ts";
import { deleteExperiment, putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { beginRefresh } from "../../src/store/refresh-basis.ts";
import { saveFailure } from "../../src/store/refresh-failures.ts";
import { recordManualRequest, recordWebhook } from "../../src/store/refresh-requests.ts";
import { keepSummary, saveSummary } from "../../src/store/refresh-results.ts";
import { getSummary } from "../../src/store/summaries.ts";

const NOW = Date.UTC(2026, 5, 1);
const PAYLOAD = `{"total_identities":5,"excluded_identities":0,"text":"${"x".repeat(1_850_000)}"}`;
const input = {
  id: "some",
  name: "some",
  environmentKey: "env",
  featureName: "button",
  variants: [],
  metrics: [],
  startedAt: NOW - 1000,
  endedAt: null,
};

let folder: string;
let sqlite: ReturnType<typeof openSqlite>;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edge-exposures-summaries-"));
  sqlite = openSqlite(join(folder, "test.sqlite"));
  await migrate(sqlite, readMigrations("migrations/d1"));
  await putExperiment(sqlite, input, null, NOW);
});
afterAll(() => {
  sqlite.close();
  rmSync(folder, { recursive: true });
});

async function basis() {
  const found = await beginRefresh(sqlite, "some");
  if (found === null) throw new Error("The experiment is missing.");
  return found;
}

/** Runs a write, and returns the bytes that it adds to the write-ahead log. */
async function bytesOf(write: (database: Database) => Promise<unknown>): Promise<number> {
  await sqlite.read({ sql: "PRAGMA wal_checkpoint(TRUNCATE)", values: [] });
  await write(sqlite);
  return statSync(join(folder, "test.sqlite-wal")).size;
}

const rowsOf = (table: string) => runOnPrimary(sqlite, { sql: `SELECT * FROM ${table}`, values: [] });

const summary = {
  asOf: NOW,
  computedAt: NOW,
  isFinal: false,
  identities: 5,
  isIdle: false,
  exposures: PAYLOAD,
  healthHistory: { window: { last: 1, alerted: 0 } },
  resultHistory: { control: "control", metrics: [] },
  alerts: [],
  results: null,
};

describe("a summary of the maximum size", () => {
  it("is written by a refresh, and by no edit, request or failure", async () => {
    const bytes = {
      refresh: await bytesOf(async (database) => saveSummary(database, await basis(), summary)),
      edit: await bytesOf((database) => putExperiment(database, { ...input, name: "Another" }, null, NOW)),
      request: await bytesOf((database) => recordManualRequest(database, "refresh", "some", null, NOW, 0)),
      begin: await bytesOf(basis),
      webhook: await bytesOf((database) => recordWebhook(database, { environmentKey: "env" }, NOW, 0, null)),
      failure: await bytesOf(async (database) => {
        const failure = { failedAt: NOW, kind: "timeout", failures: 0, retryAt: null, isCharged: false };
        return saveFailure(database, await basis(), failure);
      }),
      incomplete: await bytesOf(async (database) => keepSummary(database, await basis(), NOW, false)),
    };
    const { refresh, ...others } = bytes;
    expect(refresh).toBeGreaterThan(PAYLOAD.length);
    for (const [write, size] of Object.entries(others)) {
      expect(size, write).toBeGreaterThan(0);
      expect(size, write).toBeLessThan(50_000);
    }
    expect((await getSummary(sqlite, "some"))?.exposures).toBe(PAYLOAD);
  });

  it("is dropped with its histories by another start, and by a deletion", async () => {
    const tables = ["summaries", "health_histories", "result_histories"];
    const storedRows = () => Promise.all(tables.map(rowsOf));
    await putExperiment(sqlite, { ...input, startedAt: NOW - 2000 }, null, NOW);
    expect(await getSummary(sqlite, "some")).toMatchObject({ exposures: null, asOf: null, isFinal: false });
    expect(await storedRows()).toEqual([[], [], []]);

    await saveSummary(sqlite, await basis(), summary);
    expect(await storedRows()).toEqual(Array(3).fill([expect.objectContaining({ experiment_id: "some" })]));
    await deleteExperiment(sqlite, "some", null);
    expect(await storedRows()).toEqual([[], [], []]);
  });
});
