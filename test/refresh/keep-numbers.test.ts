import { describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { DAY, HOUR } from "../../src/exposures/buckets.ts";
import { refreshExperiment } from "../../src/refresh/refresh-experiment.ts";
import { ok } from "../../src/result.ts";
import { deleteExperiment, putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { getSummary } from "../../src/store/summaries.ts";
import type { Warehouse } from "../../src/warehouse/client.ts";
import { idleWarehouse } from "../support/idle-warehouse.ts";

const START = Date.UTC(2026, 0, 1);
const END = START + 95 * DAY;
const input = {
  id: "x",
  name: "x",
  environmentKey: "e",
  featureName: "f",
  variants: [],
  metrics: [],
  startedAt: START,
  endedAt: END,
};

/** Counts 1,000 identities of an experiment, whose first ones have expired by its final refresh. */
async function startExpired() {
  const database = openSqlite(":memory:");
  await migrate(database, readMigrations("migrations/d1"));
  const state = { now: END + 10, identities: 1000, duringQuery: async () => {} };
  const warehouse: Warehouse = {
    ...idleWarehouse,
    async select() {
      const { identities } = state;
      await state.duringQuery();
      const row = { variant_hash: "1", name: "", at: START + 94 * DAY, identities: 0, late: 0, events: 0 };
      return ok([
        { ...row, kind: "variant", name: "a", at: 0 },
        { ...row, kind: "identities", identities },
      ]);
    },
    withSharedDeadline: () => warehouse,
  };
  const deps = {
    database,
    warehouse,
    clock: () => state.now,
    random: () => 0,
    log: () => {},
    alerts: null,
    settleMs: HOUR,
    eventsTtlDays: 90,
    states: null,
    breakdownTraits: [],
  };
  const put = (options = {}) => putExperiment(database, input, null, state.now, options);
  const refresh = () => refreshExperiment(deps, "x", state.now);
  await put();
  expect(await refresh()).toEqual({ status: "refreshed" });
  state.now = END + 2 * HOUR;
  state.identities = 900;
  return { database, state, put, refresh, summary: () => getSummary(database, "x") };
}

describe("a count of fewer identities", () => {
  it("makes the stored numbers final", async () => {
    const { refresh, summary } = await startExpired();
    expect(await refresh()).toEqual({ status: "skipped", reason: "incomplete" });
    expect(await summary()).toMatchObject({ isFinal: true, refreshRequestedAt: null });
    expect((await summary())?.exposures).toContain('"total_identities":1000');
  });

  it("does nothing to an experiment that was deleted and created again meanwhile", async () => {
    const { database, state, put, refresh, summary } = await startExpired();
    state.duringQuery = async () => {
      state.duringQuery = async () => {};
      await deleteExperiment(database, "x", null);
      await put();
    };
    expect(await refresh()).toEqual({ status: "skipped", reason: "superseded" });
    expect(await summary()).toMatchObject({ isFinal: false, asOf: null, refreshRequestedAt: state.now });
    expect(await refresh()).toEqual({ status: "refreshed" });
    expect(await summary()).toMatchObject({ isFinal: true, asOf: END });
  });

  it("leaves the request of an edit that allows to replace the numbers meanwhile", async () => {
    const { state, put, refresh, summary } = await startExpired();
    state.duringQuery = async () => {
      state.duringQuery = async () => {};
      await put({ replaceNumbers: true });
    };
    expect(await refresh()).toEqual({ status: "skipped", reason: "superseded" });
    expect(await refresh()).toEqual({ status: "refreshed" });
    expect((await summary())?.exposures).toContain('"total_identities":900');
  });
});
