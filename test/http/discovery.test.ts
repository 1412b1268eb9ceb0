import { describe, expect, it, vi } from "vitest";
import { createApp } from "../../src/app.ts";
import { failed, ok, type Result } from "../../src/result.ts";
import type { Warehouse } from "../../src/warehouse/client.ts";
import type { WarehouseFailure } from "../../src/warehouse/failure.ts";
import { appDeps, emptyDatabase } from "../support/app-deps.ts";
import { idleWarehouse } from "../support/idle-warehouse.ts";
import { ADMIN } from "../support/worker.ts";

const NOW = Date.UTC(2026, 5, 1);

/** Starts an app whose clock stands still, with a warehouse whose answers the test decides. */
function start() {
  const state = { now: NOW, queries: 0, answer: ok<unknown[]>([]) as Result<unknown[], WarehouseFailure> };
  let gate = Promise.resolve();
  const warehouse: Warehouse = {
    ...idleWarehouse,
    async select() {
      state.queries += 1;
      const { answer } = state;
      await gate;
      return answer;
    },
  };
  const deps = appDeps({ ADMIN_TOKEN: ADMIN }, emptyDatabase, { warehouse, clock: () => state.now });
  const app = createApp(deps);
  const get = (path = "/v1/warehouse/features") =>
    app.request(path, { headers: { Authorization: `Bearer ${ADMIN}` } }, {});
  /** Holds all queries until the returned function is called. */
  function closeGate(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    return resolve;
  }
  return { state, get, discovery: deps.discovery, closeGate };
}

const feature = (featureName: string) => ({
  environment_key: "env",
  feature_name: featureName,
  variant_keys: ["a"],
  variant_identities: [1],
  first_exposure_at: NOW - 2,
  last_exposure_at: NOW - 1,
});

describe("discovery", () => {
  it("asks the warehouse at most once a minute", async () => {
    const { state, get } = start();
    state.answer = ok([feature("old")]);
    expect((await (await get()).json()).features[0].feature_name).toBe("old");
    state.answer = ok([feature("new")]);
    state.now += 59_999;
    expect((await (await get()).json()).features[0].feature_name).toBe("old");
    expect(state.queries).toBe(1);
    state.now += 1;
    expect((await (await get()).json()).features[0].feature_name).toBe("new");
    await get("/v1/warehouse/events?environment_key=a");
    await get("/v1/warehouse/events?environment_key=a");
    await get("/v1/warehouse/events?environment_key=b");
    expect(state.queries).toBe(4);
  });

  it("shares one query among callers, who wait for it", async () => {
    const { state, discovery, closeGate } = start();
    const open = closeGate();
    const answers = [discovery.features(), discovery.features(), discovery.features()];
    state.now += 1;
    open();
    expect((await Promise.all(answers)).map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(state.queries).toBe(1);
  });

  it("answers with the previous answer while the next query is in flight", async () => {
    const { state, get, closeGate } = start();
    state.answer = ok([feature("old")]);
    await get();
    state.now += 60_000;
    const open = closeGate();
    state.answer = ok([feature("new")]);
    const first = get();
    await vi.waitFor(() => expect(state.queries).toBe(2));
    expect((await (await get()).json()).features[0].feature_name).toBe("old");
    open();
    expect((await (await first).json()).features[0].feature_name).toBe("new");
    expect(state.queries).toBe(2);
  });

  it("keeps no caller waiting longer than a query may take", async () => {
    const { state, discovery, closeGate } = start();
    const open = closeGate();
    const first = discovery.features();
    const second = discovery.features();
    state.now += 120_001;
    expect(await second).toEqual(failed({ kind: "timeout" }));
    open();
    expect((await first).ok).toBe(true);
  });

  it("states what to do about a failure, and asks again after ten seconds, or a minute if ClickHouse is overloaded", async () => {
    const { state, get } = start();
    state.answer = failed({ kind: "missing_table" });
    const response = await get();
    expect([response.status, (await response.json()).detail]).toEqual([502, expect.stringMatching(/EVENTS_TABLE/)]);
    state.now += 9_999;
    expect([(await get()).status, state.queries]).toEqual([502, 1]);
    state.now += 1;
    state.answer = failed({ kind: "timeout" });
    expect([(await get()).status, state.queries]).toEqual([502, 2]);
    state.now += 59_999;
    expect([(await get()).status, state.queries]).toEqual([502, 2]);
    state.now += 1;
    state.answer = ok([]);
    expect([(await get()).status, state.queries]).toEqual([200, 3]);
  });

  it("refuses rows of another shape", async () => {
    const { state, get } = start();
    for (const row of [{}, { ...feature("a"), variant_identities: [] }, { ...feature("a"), last_exposure_at: "1" }]) {
      state.answer = ok([row]);
      state.now += 60_000;
      expect((await get()).status).toBe(502);
    }
  });
});
