import { beforeEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Decision, ResultHistory } from "../../src/results/result-history.ts";
import { type Database, runOnPrimary } from "../../src/store/database.ts";
import { putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { beginRefresh } from "../../src/store/refresh-basis.ts";
import { saveSummary } from "../../src/store/refresh-results.ts";
import { purchases as metric } from "../support/sample-metric.ts";

const NOW = Date.UTC(2026, 5, 1);
const experiment = {
  id: "some",
  name: "some",
  environmentKey: "env",
  featureName: "a",
  variants: [],
  metrics: [metric],
  endedAt: null,
};
function historyOf(alerted: Decision | null): ResultHistory {
  const variants = new Map([["__proto__", { last: "losing", alerted } as const]]);
  return { control: "control", metrics: [{ metric, variants }] };
}
const summary = {
  asOf: NOW,
  computedAt: NOW,
  isFinal: false,
  identities: 3,
  isIdle: false,
  exposures: "{}",
  healthHistory: { window: { last: 1, alerted: 1 } },
  resultHistory: historyOf("winning"),
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
  it("stores alerts and the histories with the numbers", async () => {
    expect(await saveSummary(database, await getBasis(), summary)).toBe(true);
    expect(await rowsOf("alerts")).toMatchObject([{ id: "msg_1", experiment_id: "some", failures: 0, due_at: NOW }]);
    expect(await getBasis()).toMatchObject({
      healthHistory: summary.healthHistory,
      resultHistory: historyOf("winning"),
    });
  });

  it("stores the history of results if only that has changed", async () => {
    await saveSummary(database, await getBasis(), summary);
    const changed = { ...summary, alerts: [], resultHistory: historyOf(null) };
    expect(await saveSummary(database, await getBasis(), changed)).toBe(true);
    expect(await getBasis()).toMatchObject({ healthHistory: summary.healthHistory, resultHistory: historyOf(null) });
  });

  it("succeeds after a rollback that left a check which this version does not know", async () => {
    await saveSummary(database, await getBasis(), summary);
    const history = '{"of_tomorrow":{"last":2,"alerted":2},"window":{"last":1,"alerted":1}}';
    await runOnPrimary(database, { sql: "UPDATE health_histories SET history = ?", values: [history] });
    const basis = await getBasis();
    expect(basis.healthHistory).toEqual(summary.healthHistory);
    expect(await saveSummary(database, basis, { ...summary, asOf: NOW + 1, alerts: [] })).toBe(true);
  });

  it("stores no alert if the definition has changed", async () => {
    const basis = await getBasis();
    await putExperiment(database, { ...experiment, featureName: "b", startedAt: NOW - 1000 }, null, NOW);
    expect(await saveSummary(database, basis, summary)).toBe(false);
    expect(await rowsOf("alerts")).toEqual([]);
    expect([await rowsOf("health_histories"), await rowsOf("result_histories")]).toEqual([[], []]);
  });

  it("stores no alert if newer numbers exist", async () => {
    const basis = await getBasis();
    await saveSummary(database, basis, { ...summary, asOf: NOW + 1, alerts: [], healthHistory: {} });
    expect(await saveSummary(database, basis, summary)).toBe(false);
    expect(await rowsOf("alerts")).toEqual([]);
    expect((await getBasis()).healthHistory).toEqual({});
  });
});
