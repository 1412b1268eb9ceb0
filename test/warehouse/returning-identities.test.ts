import { beforeAll, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Metric } from "../../src/experiment.ts";
import { DAY, HOUR } from "../../src/exposures/buckets.ts";
import { refreshExperiment } from "../../src/refresh/refresh-experiment.ts";
import type { StatesSettings } from "../../src/settings.ts";
import { putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { getSummary } from "../../src/store/summaries.ts";
import { connectWarehouse } from "../../src/warehouse/client.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";

// 100 identities are seen on the first day and again on day 89. 30 of them saw "a", then "b". The first day then expires.

const START = Date.UTC(2026, 0, 1);
const TTL = 90 * DAY;
const PURCHASES: Metric = {
  key: "purchases",
  name: "Purchases",
  event: "purchase",
  aggregation: "count",
  expectedDirection: "increase",
  conversionWindowHours: null,
  lookbackDays: 0,
};
const WHOLE = { total_identities: 70, excluded_identities: 30, variants: { a: 35, b: 35 } };

let warehouse: TestWarehouse;
beforeAll(async () => {
  warehouse = await createWarehouse({ states: true });
});

type Start = { states?: StatesSettings; metrics?: Metric[]; endedAt?: number };

async function start(environment: string, { states, metrics = [], endedAt }: Start = {}) {
  const exposures = Array.from({ length: 100 }, (_, index) => {
    const returned = index % 2 === 0 ? "b" : "a";
    const event = { environment_key: environment, feature_name: "f", identifier: `u${index}` };
    return [
      { ...event, value: index < 30 ? (returned === "b" ? "a" : "b") : returned, timestamp: START + HOUR },
      { ...event, value: returned, timestamp: START + 89 * DAY },
    ];
  });
  const database = openSqlite(":memory:");
  await migrate(database, readMigrations("migrations/d1"));
  let now = START;
  const deps = {
    database,
    warehouse: connectWarehouse(warehouse.settings),
    clock: () => now,
    random: () => 0,
    log: () => {},
    settleMs: HOUR,
    eventsTtlDays: TTL / DAY,
    states: states ?? null,
    breakdownTraits: [],
    alerts: null,
  };
  const variants = ["a", "b"].map((key) => ({ key, weight: 1 }));
  const input = { id: environment, name: "", environmentKey: environment, featureName: "f", variants, metrics };
  await putExperiment(database, { ...input, startedAt: START, endedAt: endedAt ?? null }, null, START);
  const summary = () => getSummary(database, environment);
  await warehouse.insert(exposures.flat());
  return {
    summary,
    exposures: async () => JSON.parse((await summary())?.exposures ?? "null"),
    refresh(at: number) {
      now = at;
      return refreshExperiment(deps, environment, at);
    },
    expireFirstDay: () =>
      warehouse.command(
        `DELETE FROM ${warehouse.settings.database}.events
        WHERE environment_key = '${environment}' AND timestamp < fromUnixTimestamp64Milli(${START + DAY})`,
      ),
  };
}

describe("identities whose exposures to another variant have expired", () => {
  it("stay excluded, with last_error_at", async () => {
    const { refresh, expireFirstDay, exposures, summary } = await start("events");
    await refresh(START + TTL);
    const before = await exposures();
    expect(before).toMatchObject(WHOLE);
    await expireFirstDay();
    expect(await refresh(START + TTL + DAY)).toEqual({ status: "skipped", reason: "incomplete" });
    expect(await exposures()).toEqual(before);
    expect((await summary())?.lastErrorAt).toBe(START + TTL + DAY);
  });

  it("stay excluded from the final numbers of states", async () => {
    const endedAt = START + TTL + DAY;
    const { refresh, expireFirstDay, exposures, summary } = await start("states", {
      states: { longestInsertMs: 0 },
      endedAt,
    });
    for (const delay of [0, 1, 2]) await refresh(START + TTL + delay);
    await expireFirstDay();
    expect(await refresh(endedAt + 2 * HOUR)).toEqual({ status: "refreshed" });
    expect(await exposures()).toMatchObject(WHOLE);
    expect((await summary())?.isFinal).toBe(true);
  });

  it("never count in the results beside states", async () => {
    const { refresh, expireFirstDay, exposures, summary } = await start("results", {
      states: { longestInsertMs: 0 },
      metrics: [PURCHASES],
    });
    for (const delay of [0, 1, 2]) await refresh(START + TTL + delay);
    const before = (await summary())?.results;
    expect(before?.counted).not.toBeNull();
    await expireFirstDay();
    expect(await refresh(START + TTL + DAY)).toEqual({ status: "refreshed" });
    expect(await exposures()).toMatchObject(WHOLE);
    expect((await summary())?.results).toEqual(before);
  });
});
