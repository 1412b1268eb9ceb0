import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startDeno } from "../support/deno.ts";
import { startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { drive, until, varsFor } from "../support/worker.ts";

const start = async (vars: Record<string, string>) => drive(await startDeno(vars));

let proxy: WarehouseProxy;
let service: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  proxy = await startProxy((await createWarehouse()).settings);
  service = await start(varsFor(proxy.settings, { REFRESH_MIN_INTERVAL_SECONDS: 1 }));
});
afterAll(async () => {
  await service.stop();
  proxy.stop();
});

const put = (id: string) => {
  const body = { environment_key: id, feature_name: id, started_at: "2026-06-01T00:00:00.000Z" };
  return service.call("PUT", `/v1/experiments/${id}`, body);
};
const untilServed = (id: string) =>
  until(
    () => service.exposures(id),
    ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
  );

/** Locks the database file, as another process such as a stuck backup would. Returns a function that unlocks it. */
function lock() {
  const connection = new DatabaseSync(service.file);
  connection.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  return () => connection.close();
}

it("rejects writes with 503 but serves reads while the database is locked, and recovers afterwards", async () => {
  await put("locked");
  await untilServed("locked");
  const unlock = lock();
  service.clearLines();
  for (const response of [await put("locked"), await service.call("DELETE", "/v1/experiments/locked")]) {
    expect(response.status).toBe(503);
    expect(response.headers.get("Retry-After")).toMatch(/^[1-9]\d*$/);
    expect(response.headers.get("Content-Type")).toBe("application/problem+json");
  }
  expect((await service.call("GET", "/v1/experiments/locked")).status).toBe(200);
  expect(service.logs().map(({ event }) => event)).toEqual(["database.unavailable", "database.unavailable"]);
  unlock();
  expect((await put("locked")).status).toBe(200);
  await untilServed("locked");
  expect((await service.call("DELETE", "/v1/experiments/locked")).status).toBe(204);
});

it("logs one failure and retries when a refresh can't be stored in a locked database", async () => {
  proxy.closeGate();
  await put("retried");
  await until(
    () => proxy.state.waiting,
    (waiting) => waiting === 1,
  );
  const unlock = lock();
  proxy.openGate();
  const failures = () => service.logs().filter(({ kind }) => kind === "storage");
  await until(failures, ({ length }) => length > 0);
  unlock();
  expect(failures()).toMatchObject([{ event: "refresh.failed", experiment_id: "retried" }]);
  await untilServed("retried");
});
