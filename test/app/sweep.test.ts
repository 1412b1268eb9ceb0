import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { exportLine } from "../support/export-line.ts";
import { faults, startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, deleteExperiments, startWorker, type TestWorker, until } from "../support/worker.ts";

// Sweeps of more experiments than a slice holds, in the real runtimes.

const EXPERIMENTS = 45;
const CONCURRENCY = 3;
const STARTED = "2026-06-01T00:00:00.000Z";
const idOf = (index: number) => `experiment-${String(index).padStart(3, "0")}`;

let proxy: WarehouseProxy;
let worker: TestWorker;
beforeAll(async () => {
  proxy = await startProxy((await createWarehouse()).settings);
  worker = await startWorker(proxy.settings, { QUERY_CONCURRENCY: CONCURRENCY });
});
afterAll(async () => {
  await worker.stop();
  proxy.stop();
});
beforeEach(async () => {
  const lines = Array.from({ length: EXPERIMENTS }, (_, index) => exportLine(idOf(index), STARTED));
  const imported = await worker.fetch("/v1/import", {
    method: "POST",
    headers: { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/jsonl" },
    body: lines.join("\n"),
  });
  expect(imported.status, await imported.text()).toBe(200);
  proxy.reset();
  worker.clearLines();
});
afterEach(async () => {
  proxy.openGate();
  // A sweep refreshes an idle experiment only once an hour.
  await deleteExperiments(worker);
});

const untilHeld = (queries: number) =>
  until(
    () => proxy.state.waiting,
    (waiting) => waiting >= queries,
  );
const rows = () => worker.select("SELECT id, as_of, last_error_at FROM experiments ORDER BY id");
const untilFinished = () =>
  until(
    () => worker.logs().filter(({ event }) => event === "sweep.finished"),
    ({ length }) => length > 0,
  );

describe("a sweep of several slices", () => {
  it("refreshes each experiment once, as of the sweep's time, QUERY_CONCURRENCY at once", async () => {
    const now = Date.now();
    expect(await worker.sweep(now)).toBe(true);
    expect(proxy.state).toMatchObject({ queries: EXPERIMENTS, maxConcurrent: CONCURRENCY });
    const found = await rows();
    expect(found).toHaveLength(EXPERIMENTS);
    expect(new Set(found.map(({ as_of }) => as_of))).toEqual(new Set([now]));
    const { json } = await worker.call("GET", "/v1/status");
    expect(json).toEqual({
      time: expect.any(String),
      last_sweep_at: new Date(now).toISOString(),
      sweep_seconds: 900,
    });
    expect(Math.abs(Date.parse(json.time) - Date.now())).toBeLessThan(60_000);
    expect(await untilFinished()).toMatchObject([{ level: "info", refreshed: EXPERIMENTS, skipped: 0, failed: 0 }]);
  });

  it("continues after a failure in each slice, and ends as failed", async () => {
    const broken = [3, 42].map(idOf);
    for (const id of broken) proxy.injectFault(faults["rows of another shape"], id);
    expect(await worker.sweep()).toBe(false);
    for (const id of broken) proxy.injectFault(null, id);
    const failed = (await rows()).filter(({ last_error_at }) => last_error_at !== null);
    expect(failed.map(({ id }) => id)).toEqual(broken);
    expect(await untilFinished()).toMatchObject([
      { level: "error", refreshed: EXPERIMENTS - 2, skipped: 0, failed: 2 },
    ]);
  });

  it("is shared with concurrent sweeps: neither the load nor the work doubles", async () => {
    proxy.closeGate();
    const sweeps = [worker.sweep(), worker.sweep()];
    await untilHeld(CONCURRENCY);
    sweeps.push(worker.sweep());
    proxy.openGate();
    expect(await Promise.all(sweeps)).toEqual([true, true, true]);
    expect(proxy.state).toMatchObject({ queries: EXPERIMENTS, maxConcurrent: CONCURRENCY });
  });

  it("skips experiments deleted meanwhile, and includes those added and changed", async () => {
    proxy.closeGate();
    const now = Date.now();
    const sweep = worker.sweep(now);
    await untilHeld(CONCURRENCY);
    expect((await worker.call("DELETE", `/v1/experiments/${idOf(42)}`)).status).toBe(204);
    const definition = { environment_key: "env", feature_name: "new", started_at: STARTED };
    expect((await worker.call("PUT", "/v1/experiments/zebra", definition)).status).toBe(201);
    const changed = { ...definition, feature_name: "changed", variants: [{ key: "a", weight: 1 }] };
    expect((await worker.call("PUT", `/v1/experiments/${idOf(43)}`, changed)).status).toBe(200);
    proxy.openGate();
    expect(await sweep).toBe(true);
    const found = await rows();
    expect(found.map(({ id }) => id)).toEqual([
      ...Array.from({ length: EXPERIMENTS }, (_, index) => idOf(index)).filter((id) => id !== idOf(42)),
      "zebra",
    ]);
    for (const { as_of } of found) expect(as_of).toBeGreaterThanOrEqual(now);
    expect((await worker.exposures(idOf(43))).exposures.variants).toEqual({ a: 0 });
  });
});
