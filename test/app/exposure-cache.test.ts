import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sign } from "../support/sign.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

// This process caches exposures for an hour, but must drop them as soon as it changes them itself: in a request, or in
// a coordinator, which shares the isolate in this Worker. test/http/exposure-cache.test.ts tests expiry and the rest.

const DAY = 86_400_000;

let warehouse: TestWarehouse;
let worker: TestWorker;
let count = 0;
beforeAll(async () => {
  warehouse = await createWarehouse();
  worker = await startWorker(warehouse.settings, { CACHE_SECONDS: 3600, REFRESH_MIN_INTERVAL_SECONDS: 0 });
});
afterAll(() => worker.stop());

const pathOf = (id: string) => `/v1/experiments/${id}`;
const get = (id: string, headers: Record<string, string> = {}) =>
  worker.call("GET", `${pathOf(id)}/exposures`, undefined, headers);
const isHit = ({ headers }: Awaited<ReturnType<typeof get>>) => headers.get("Server-Timing") === "cache;desc=hit";

function put(id: string, fields: object = {}) {
  const started_at = new Date(Date.now() - DAY).toISOString();
  return worker.call("PUT", pathOf(id), { environment_key: id, feature_name: id, started_at, ...fields });
}

const untilComputed = (id: string) =>
  until(
    () => get(id),
    ({ json }) => json.exposures !== null && json.refresh_requested_at === null,
  );

/** Creates an experiment whose exposures are cached. */
async function createCached() {
  count += 1;
  const id = `cached-${count}`;
  expect((await put(id)).status).toBe(201);
  await untilComputed(id);
  // A refresh that is still in flight may drop the cache entry once more.
  const response = await until(() => get(id), isHit);
  return { id, response };
}

/** Returns the experiment's line of an export. */
async function exportedLine(id: string): Promise<string> {
  const { text } = await worker.call("GET", "/v1/export");
  return text.split("\n").find((line) => line.includes(`"id":"${id}"`)) ?? "";
}

const expose = (id: string) =>
  warehouse.insert([
    { environment_key: id, feature_name: id, identifier: "one", value: "control", timestamp: Date.now() - 3_600_000 },
  ]);

describe("cached exposures", () => {
  it("equal those from the database, with the same headers", async () => {
    const { id, response } = await createCached();
    const again = await get(id);
    expect(isHit(again)).toBe(true);
    expect(again.text).toBe(response.text);
    for (const name of ["ETag", "Cache-Control", "Content-Type", "Vary"])
      expect(again.headers.get(name)).toBe(response.headers.get(name));
    expect(again.headers.get("X-Request-Id")).not.toBe(response.headers.get("X-Request-Id"));
  });

  it("return 304 when the ETag matches", async () => {
    const { id, response } = await createCached();
    const notModified = await get(id, { "If-None-Match": response.headers.get("ETag") ?? "" });
    expect([notModified.status, notModified.text, isHit(notModified)]).toEqual([304, "", true]);
  });

  it.each<[name: string, change: (id: string) => Promise<unknown>]>([
    ["a sweep", () => worker.sweep(Date.now() + 1000)],
    ["a manual request", (id) => worker.call("POST", `${pathOf(id)}/exposures/refresh`)],
    ["an edit", (id) => put(id, { name: "another" })],
    [
      "a webhook",
      (id) => {
        const body = JSON.stringify({ environment_key: id });
        return worker.call("POST", "/webhooks/refresh", body, sign("webhook-signature", body));
      },
    ],
  ])("include the result of %s as soon as it is stored", async (_, change) => {
    const { id } = await createCached();
    await expose(id);
    await change(id);
    const { json } = await until(
      () => get(id),
      (response) => response.json.exposures?.total_identities === 1,
      { seconds: 20 },
    );
    expect(json.exposures.variants).toEqual({ control: 1 });
  });

  it("are dropped by a deletion, and replaced by an import", async () => {
    const { id, response } = await createCached();
    const line = await exportedLine(id);
    expect((await worker.call("DELETE", pathOf(id))).status).toBe(204);
    expect((await get(id)).status).toBe(404);
    const imported = await worker.call("POST", "/v1/import", line, { "Content-Type": "application/jsonl" });
    expect(imported.json.imported).toEqual([id]);
    expect((await get(id)).json).toEqual(response.json);
  });

  it("show a failed refresh, and the successful one after it", async () => {
    const { id } = await createCached();
    const { table } = warehouse.settings;
    await warehouse.command(`RENAME TABLE ${table} TO ${table}_away`);
    try {
      await worker.sweep();
      expect((await get(id)).json.last_error_at).not.toBeNull();
    } finally {
      await warehouse.command(`RENAME TABLE ${table}_away TO ${table}`);
    }
    await worker.sweep();
    expect((await get(id)).json.last_error_at).toBeNull();
  });
});

it("gives concurrent clients the same correct response to exposures that are not cached yet", async () => {
  const { id, response } = await createCached();
  const names = { id: "stampede", feature_name: "stampede" };
  const line = JSON.stringify({ ...JSON.parse(await exportedLine(id)), ...names });
  const imported = await worker.call("POST", "/v1/import", line, { "Content-Type": "application/jsonl" });
  expect(imported.json.imported).toEqual(["stampede"]);

  const responses = await Promise.all(Array.from({ length: 300 }, () => get("stampede")));
  expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(responses.map(({ text }) => text)).size).toBe(1);
  expect(responses[0]?.json.exposures).toEqual(response.json.exposures);
  expect(responses.some((each) => !isHit(each))).toBe(true);
  expect(isHit(await get("stampede"))).toBe(true);
});
