import { beforeEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { type Database, runOnPrimary } from "../../src/store/database.ts";
import { putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { beginRefresh, saveSummary } from "../../src/store/refresh-results.ts";

const NOW = Date.UTC(2026, 5, 1);
const experiment = {
  id: "some",
  name: "some",
  environmentKey: "env",
  featureName: "a",
  variants: [],
  metrics: [],
  endedAt: null,
};
const summary = {
  ...{ asOf: NOW, computedAt: NOW, isFinal: false, identities: 3, isIdle: false, exposures: "{}" },
  healthHistory: { window: { last: 1, alerted: 1 } },
  alerts: [{ id: "msg_1", experimentId: "some", body: "{}" }],
  results: null,
};

let database: Database;
beforeEach(async () => {
  database = openSqlite(":memory:");
  await migrate(database, readMigrations("migrations/d1"));
  await putExperiment(database, { ...experiment, startedAt: NOW - 1000 }, null, NOW);
});

const rowsOf = (table: string) => runOnPrimary(database, { sql: `SELECT * FROM ${table}`, values: [] });

async function getBasis() {
  const found = await beginRefresh(database, "some");
  if (found === null) throw new Error("The experiment is missing.");
  return found;
}

describe("saveSummary", () => {
  it("stores alerts and the health history with the numbers", async () => {
    expect(await saveSummary(database, await getBasis(), summary)).toBe(true);
    expect(await rowsOf("alerts")).toMatchObject([{ id: "msg_1", experiment_id: "some", failures: 0, due_at: NOW }]);
    expect((await getBasis()).healthHistory).toEqual(summary.healthHistory);
  });

  it("succeeds after a rollback that left a check which this version does not know", async () => {
    await saveSummary(database, await getBasis(), summary);
    const history = '{"of_tomorrow":{"last":2,"alerted":2},"window":{"last":1,"alerted":1}}';
    await runOnPrimary(database, { sql: "UPDATE health_histories SET history = ?", values: [history] });
    const basis = await getBasis();
    expect(basis.healthHistory).toEqual(summary.healthHistory);
    expect(await saveSummary(database, basis, { ...summary, asOf: NOW + 1 })).toBe(true);
  });

  it("stores no alert if the definition has changed", async () => {
    const basis = await getBasis();
    await putExperiment(database, { ...experiment, featureName: "b", startedAt: NOW - 1000 }, null, NOW);
    expect(await saveSummary(database, basis, summary)).toBe(false);
    expect(await rowsOf("alerts")).toEqual([]);
    expect(await rowsOf("health_histories")).toEqual([]);
  });

  it("stores no alert if newer numbers exist", async () => {
    const basis = await getBasis();
    await saveSummary(database, basis, { ...summary, asOf: NOW + 1, alerts: [], results: null, healthHistory: {} });
    expect(await saveSummary(database, basis, summary)).toBe(false);
    expect(await rowsOf("alerts")).toEqual([]);
    expect((await getBasis()).healthHistory).toEqual({});
  });
});
