import { beforeEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Metric } from "../../src/experiment.ts";
import { NO_RESULT_HISTORY } from "../../src/results/result-history.ts";
import { countsText } from "../../src/results/stored-counts.ts";
import { type Database, runOnPrimary } from "../../src/store/database.ts";
import { deleteExperiment, type ExperimentInput, getExperiment, putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { beginRefresh } from "../../src/store/refresh-basis.ts";
import { type ComputedResults, saveSummary } from "../../src/store/refresh-results.ts";
import { getSummary } from "../../src/store/summaries.ts";

const NOW = Date.UTC(2026, 5, 1);
const metric: Metric = {
  key: "purchase",
  name: "☃",
  event: "a'b",
  aggregation: "count",
  expectedDirection: "not_increase",
  conversionWindowHours: 1,
  lookbackDays: 0,
};
const input: ExperimentInput = {
  id: "some",
  name: "some",
  environmentKey: "env",
  featureName: "button",
  variants: [],
  metrics: [metric],
  startedAt: NOW - 1000,
  endedAt: null,
};
const counted = countsText([{ metric, invalidValues: 0, variants: new Map() }]) ?? "";
const computed = { counted };

let database: Database;
beforeEach(async () => {
  database = openSqlite(":memory:");
  await migrate(database, readMigrations("migrations/d1"));
  await put();
});

const put = (change: Partial<ExperimentInput> = {}) => putExperiment(database, { ...input, ...change }, null, NOW);

async function basis() {
  const found = await beginRefresh(database, "some");
  if (found === null) throw new Error("The experiment is missing.");
  return found;
}

async function save(results: ComputedResults, asOf: number, begun?: Awaited<ReturnType<typeof basis>>) {
  const numbers = { asOf, computedAt: asOf + 1, isFinal: false, identities: 0, isIdle: false, exposures: "{}" };
  const changes = { healthHistory: {}, resultHistory: NO_RESULT_HISTORY, alerts: [] };
  return saveSummary(database, begun ?? (await basis()), { ...numbers, ...changes, results });
}

const storedResults = async () => (await getSummary(database, "some"))?.results;

describe("metrics", () => {
  it("are read as they were written", async () => {
    expect((await getExperiment(database, "some", null))?.metrics).toEqual([metric]);
    await put({ metrics: [] });
    expect((await getExperiment(database, "some", null))?.metrics).toEqual([]);
  });
});

describe("results", () => {
  it("are stored with the exposures, as of the same moment", async () => {
    expect(await storedResults()).toBeNull();
    expect(await save(computed, NOW)).toBe(true);
    expect(await getSummary(database, "some")).toMatchObject({ asOf: NOW, exposures: "{}" });
    expect(await storedResults()).toEqual({ asOf: NOW, computedAt: NOW + 1, lastErrorAt: null, counted });
  });

  it("stay after a failure, with its time, until the next success", async () => {
    await save("failed", NOW);
    expect(await storedResults()).toEqual({ asOf: null, computedAt: null, lastErrorAt: NOW + 1, counted: null });
    await save(computed, NOW + 10);
    await save("failed", NOW + 20);
    expect(await getSummary(database, "some")).toMatchObject({ asOf: NOW + 20, lastErrorAt: null });
    expect(await storedResults()).toEqual({ asOf: NOW + 10, computedAt: NOW + 11, lastErrorAt: NOW + 21, counted });
    await save(computed, NOW + 30);
    expect(await storedResults()).toMatchObject({ asOf: NOW + 30, lastErrorAt: null });
  });

  it("are not stored if the metrics were edited since the refresh began", async () => {
    const begun = await basis();
    await put({ metrics: [{ ...metric, aggregation: "sum" }] });
    expect(await save(computed, NOW, begun)).toBe(false);
    expect(await storedResults()).toBeNull();
    expect((await basis()).isRequested).toBe(true);
  });

  it("are not stored if newer ones are", async () => {
    const begun = await basis();
    await save(computed, NOW + 1);
    expect(await save("failed", NOW, begun)).toBe(false);
    expect(await storedResults()).toMatchObject({ asOf: NOW + 1, lastErrorAt: null });
  });

  it.each([
    ["results", "INSERT ON results"],
    ["the experiment's row", "UPDATE OF as_of ON experiments"],
  ])("are stored with the exposures or not at all, if writing %s fails", async (_, operation) => {
    await save(computed, NOW);
    const before = await getSummary(database, "some");
    const begun = await basis();
    const sql = `CREATE TRIGGER failure BEFORE ${operation} BEGIN SELECT RAISE(ABORT, 'disk full'); END`;
    await runOnPrimary(database, { sql, values: [] });
    await expect(save({ counted: "[]" }, NOW + 10, begun)).rejects.toThrow();
    expect(await getSummary(database, "some")).toEqual(before);
  });

  it.each<[edit: string, change: Partial<ExperimentInput>, stay: boolean]>([
    ["the name", { name: "Another" }, true],
    ["the metrics", { metrics: [metric, { ...metric, key: "other" }] }, true],
    ["the metrics, to none", { metrics: [] }, false],
    ["the start", { startedAt: NOW - 2000 }, false],
    ["the environment", { environmentKey: "other" }, false],
  ])("after an edit of %s", async (_, change, stay) => {
    await save(computed, NOW);
    await put(change);
    expect(await storedResults()).toEqual(stay ? expect.objectContaining({ asOf: NOW, counted }) : null);
  });

  it("are deleted with the experiment", async () => {
    await save(computed, NOW);
    await deleteExperiment(database, "some", null);
    expect(await runOnPrimary(database, { sql: "SELECT * FROM results", values: [] })).toEqual([]);
  });
});
