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
const served = (id: string) =>
  until(
    () => service.exposures(id),
    ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
  );

/** Somebody else writes to the file, a backup that went wrong perhaps. */
function lock() {
  const other = new DatabaseSync(service.file);
  other.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  return () => other.close();
}

it("a locked database makes writes a 503 that says when to try again; reads go on; the next attempt is taken", async () => {
  await put("locked");
  await served("locked");
  const unlock = lock();
  service.clearLines();
  for (const answer of [await put("locked"), await service.call("DELETE", "/v1/experiments/locked")]) {
    expect(answer.status).toBe(503);
    expect(answer.headers.get("Retry-After")).toMatch(/^[1-9]\d*$/);
    expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
  }
  expect((await service.call("GET", "/v1/experiments/locked")).status).toBe(200);
  expect(service.logs().map(({ event }) => event)).toEqual(["database.unavailable", "database.unavailable"]);
  unlock();
  expect((await put("locked")).status).toBe(200);
  await served("locked");
  expect((await service.call("DELETE", "/v1/experiments/locked")).status).toBe(204);
});

it("a refresh that a locked database does not take is one line of the log, and is tried again", async () => {
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
  await served("retried");
});
