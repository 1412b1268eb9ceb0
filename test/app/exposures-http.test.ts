import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { faults, startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { ADMIN, startWorker, type TestWorker, until } from "../support/worker.ts";

let warehouse: TestWarehouse;
/** The proxy between `worker` and its warehouse. */
let proxy: WarehouseProxy;
/** Has the default settings, except for CACHE_SECONDS. */
let worker: TestWorker;
/** Allows public reads, and a manual refresh every second. */
let publicWorker: TestWorker;
/** Has an unreachable warehouse. */
let disconnected: TestWorker;
beforeAll(async () => {
  warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  worker = await startWorker(proxy.settings, { CACHE_SECONDS: 7 });
  publicWorker = await startWorker(warehouse.settings, {
    PUBLIC_READ: true,
    CACHE_SECONDS: 60,
    REFRESH_MIN_INTERVAL_SECONDS: 1,
  });
  disconnected = await startWorker(warehouse.settings, { CLICKHOUSE_URL: "http://127.0.0.1:1" });
});
afterAll(async () => {
  await Promise.all([worker, publicWorker, disconnected].map((each) => each?.stop()));
  proxy?.stop();
});

const HOUR = 3_600_000;
const fromNow = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();
const running = () => ({ started_at: fromNow(-2 * HOUR) });
const ended = () => ({ started_at: fromNow(-4 * HOUR), ended_at: fromNow(-1000) });
/** Ended longer ago than SETTLE_SECONDS: the first refresh is final. */
const settled = () => ({ started_at: fromNow(-4 * HOUR), ended_at: fromNow(-2 * HOUR) });

type Times = { started_at?: string; ended_at?: string };

let count = 0;
/** Creates an experiment with a new id, and returns the id. */
async function create(on: TestWorker, times: Times): Promise<string> {
  count += 1;
  const id = `experiment-${count}`;
  await put(on, id, times);
  return id;
}
const put = (on: TestWorker, id: string, times: Times) =>
  on.call("PUT", `/v1/experiments/${id}`, { environment_key: "env", feature_name: id, ...times });
const pathOf = (id: string) => `/v1/experiments/${id}/exposures`;
const get = (on: TestWorker, id: string, headers: Record<string, string> = {}) =>
  on.call("GET", pathOf(id), undefined, headers);
const refresh = (on: TestWorker, id: string) => on.call("POST", `${pathOf(id)}/refresh`);
const etagOf = async (on: TestWorker, id: string) => (await get(on, id)).headers.get("ETag") ?? "";

/** Waits until there are numbers and no refresh is requested. */
const untilComputed = (on: TestWorker, id: string) =>
  until(
    () => on.exposures(id),
    ({ exposures, refresh_requested_at }) => exposures !== null && refresh_requested_at === null,
  );

const expose = (id: string, identifier: string, value = "control") =>
  warehouse.insert([
    { environment_key: "env", feature_name: id, identifier, value, timestamp: Date.now() - 1.5 * HOUR },
  ]);

describe("GET /v1/experiments/{id}/exposures", () => {
  it("returns 200 with nulls for a draft", async () => {
    const id = await create(worker, {});
    const response = await get(worker, id);
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toMatch(/^application\/json\b/);
    expect(response.json).toEqual({
      experiment_id: id,
      status: "draft",
      as_of: null,
      computed_at: null,
      last_error_at: null,
      refresh_requested_at: null,
      is_final: false,
      exposures: null,
    });
  });

  it("returns 200 with nulls and last_error_at while the warehouse is unreachable", async () => {
    const id = await create(disconnected, running());
    const response = await until(
      () => disconnected.exposures(id),
      ({ last_error_at }) => last_error_at !== null,
    );
    expect(response).toEqual({
      experiment_id: id,
      status: "running",
      as_of: null,
      computed_at: null,
      last_error_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      refresh_requested_at: expect.any(String),
      is_final: false,
      exposures: null,
    });
  });

  it("returns the numbers of a started experiment, with every key that clients rely on", async () => {
    const id = await create(worker, {});
    await expose(id, "ann");
    const times = { started_at: fromNow(-2 * HOUR), ended_at: fromNow(-HOUR) };
    await put(worker, id, times);
    const response = await untilComputed(worker, id);
    const start = new Date(Math.floor(Date.parse(times.started_at) / HOUR) * HOUR).toISOString();
    expect(response).toEqual({
      experiment_id: id,
      status: "completed",
      as_of: times.ended_at,
      computed_at: expect.any(String),
      last_error_at: null,
      refresh_requested_at: null,
      is_final: expect.any(Boolean),
      exposures: {
        total_identities: 1,
        excluded_identities: 0,
        variants: { control: 1 },
        health: { status: "waiting", checks: expect.any(Array) },
        timeseries: { granularity: "hour", points: expect.any(Array) },
      },
    });
    expect(response.exposures.timeseries.points[0]).toMatchObject({ bucket: start });
    expect(response.exposures.timeseries.points.at(-1)).toMatchObject({ cumulative_identities: { control: 1 } });
  });

  it("returns 404 for an unknown experiment, whatever If-None-Match is", async () => {
    for (const headers of [{}, { "If-None-Match": "*" }, { "If-None-Match": '"1"' }]) {
      const response = await get(worker, "nothing-here", headers);
      expect(response.status).toBe(404);
      expect(response.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
      expect(response.headers.has("ETag")).toBe(false);
    }
  });

  it("sets Cache-Control by CACHE_SECONDS, private unless PUBLIC_READ is set", async () => {
    for (const { on, scope, seconds } of [
      { on: worker, scope: "private", seconds: 7 },
      { on: publicWorker, scope: "public", seconds: 60 },
      { on: disconnected, scope: "private", seconds: 5 },
    ]) {
      const id = await create(on, {});
      const ok = await get(on, id);
      const unchanged = await get(on, id, { "If-None-Match": "*" });
      expect([ok.status, unchanged.status]).toEqual([200, 304]);
      for (const { headers } of [ok, unchanged]) {
        const directives = headers.get("Cache-Control")?.split(/ *, */) ?? [];
        expect(directives).toEqual(expect.arrayContaining([`max-age=${seconds}`, scope]));
        expect(directives).not.toContain(scope === "public" ? "private" : "public");
      }
    }
  });

  it("does not let 401 and 404 responses be cached", async () => {
    const id = await create(worker, {});
    const refused = await get(worker, id, { Authorization: "" });
    expect(refused.status).toBe(401);
    for (const { headers } of [refused, await get(publicWorker, "nothing-here")]) {
      expect(headers.get("Cache-Control") ?? "").not.toMatch(/max-age=[1-9]|public/);
    }
  });
});

describe("the ETag of exposures", () => {
  let id: string;
  let etag: string;
  beforeAll(async () => {
    id = await create(worker, settled());
    await untilComputed(worker, id);
    etag = await etagOf(worker, id);
  });

  it("is strong, and stays the same until something changes", async () => {
    expect(etag).toMatch(/^"[\x21\x23-\x7e]+"$/);
    const responses = await Promise.all(Array.from({ length: 5 }, () => get(worker, id)));
    expect(new Set(responses.map(({ text }) => text)).size).toBe(1);
    expect(new Set(responses.map(({ headers }) => headers.get("ETag")))).toEqual(new Set([etag]));
  });

  it.each([
    ["the ETag", () => etag],
    ["the ETag as a weak tag", () => `W/${etag}`],
    ["a list that contains it", () => `"other", ${etag}`],
    ["a list that contains it, weak and without spaces", () => `W/"other",W/${etag},"more"`],
    ["a list with a comma inside another tag", () => `"one,two", ${etag}`],
    ["*", () => "*"],
    ["the ETag with surrounding spaces", () => ` ${etag} `],
  ])("gives 304 without a body when If-None-Match is %s", async (_, header) => {
    const response = await get(worker, id, { "If-None-Match": header() });
    expect(response).toMatchObject({ status: 304, text: "" });
    expect(response.headers.get("ETag")).toBe(etag);
  });

  it.each([
    ["another tag", () => '"other"'],
    ["a list of other tags", () => '"other", W/"more"'],
    ["the ETag without quotes", () => etag.slice(1, -1)],
    ["a prefix of the ETag", () => `${etag.slice(0, -2)}"`],
    ["an empty text", () => ""],
    ["another tag that contains an asterisk", () => '"a*b"'],
    ["another tag with an asterisk between commas", () => '"a,*,b"'],
  ])("gives 200 when If-None-Match is %s", async (_, header) => {
    const response = await get(worker, id, { "If-None-Match": header() });
    expect(response.status).toBe(200);
    expect(response.headers.get("ETag")).toBe(etag);
    expect(response.json).toMatchObject({ experiment_id: id });
  });

  /** Requests the exposures as a client that has cached the response with this ETag. */
  const revalidate = (on: TestWorker, experimentId: string, cachedETag: string) =>
    get(on, experimentId, { "If-None-Match": cachedETag });

  it("changes when a refresh changes the numbers", async () => {
    const ownId = await create(worker, running());
    await untilComputed(worker, ownId);
    const cachedETag = await etagOf(worker, ownId);
    await expose(ownId, "ann");
    expect((await refresh(worker, ownId)).status).toBe(202);
    const now = await until(
      () => revalidate(worker, ownId, cachedETag),
      ({ json }) => json?.exposures.total_identities === 1,
    );
    expect(now.status).toBe(200);
    expect(now.headers.get("ETag")).not.toBe(cachedETag);
  });

  it("changes when a refresh is requested, and shows the request", async () => {
    const ownId = await create(disconnected, running());
    await until(
      () => disconnected.exposures(ownId),
      ({ last_error_at }) => last_error_at !== null,
    );
    const cached = await get(disconnected, ownId);
    const accepted = await refresh(disconnected, ownId);
    expect(accepted.status).toBe(202);
    const now = await revalidate(disconnected, ownId, cached.headers.get("ETag") ?? "");
    expect(now.status).toBe(200);
    expect(now.json.refresh_requested_at).toBe(accepted.json.refresh_requested_at);
    expect(now.json.refresh_requested_at).not.toBe(cached.json.refresh_requested_at);
  });

  it.each([
    { outcome: "succeeds", fault: null },
    { outcome: "fails", fault: faults["status 500"] },
  ])("changes as soon as a refresh $outcome", async ({ fault }) => {
    const ownId = await create(worker, running());
    await untilComputed(worker, ownId);
    proxy.reset();
    proxy.closeGate();
    expect((await refresh(worker, ownId)).status).toBe(202);
    await until(
      () => proxy.state.maxConcurrentByFeature.get(ownId),
      (queries) => queries === 1,
    );
    const cached = await get(worker, ownId);
    expect(cached.json.refresh_requested_at).not.toBeNull();
    proxy.injectFault(fault, ownId);
    proxy.openGate();
    const now = await until(
      () => get(worker, ownId),
      ({ text }) => text !== cached.text,
    );
    proxy.injectFault(null, ownId);
    expect(now.headers.get("ETag")).not.toBe(cached.headers.get("ETag"));
    expect(now.json.last_error_at === null).toBe(fault === null);
  });

  it("changes when the experiment is deleted and created again, though the body is the same", async () => {
    const ownId = await create(worker, {});
    const before = await get(worker, ownId);
    await worker.call("DELETE", `/v1/experiments/${ownId}`);
    await put(worker, ownId, {});
    const after = await revalidate(worker, ownId, before.headers.get("ETag") ?? "");
    expect(after).toMatchObject({ status: 200, text: before.text });
    expect(after.headers.get("ETag")).not.toBe(before.headers.get("ETag"));
  });

  it("changes when the experiment is edited", async () => {
    const ownId = await create(worker, {});
    const cachedETag = await etagOf(worker, ownId);
    await put(worker, ownId, { started_at: fromNow(HOUR) });
    expect(await etagOf(worker, ownId)).not.toBe(cachedETag);
  });

  it("changes when time alone changes the status", async () => {
    const ownId = await create(worker, { started_at: fromNow(800), ended_at: fromNow(1600) });
    const tagsByStatus = new Map<string, Set<string>>();
    await until(
      async () => {
        const { json, headers } = await get(worker, ownId);
        const tags = tagsByStatus.get(json.status) ?? new Set();
        tagsByStatus.set(json.status, tags.add(headers.get("ETag") ?? ""));
        return json.status;
      },
      (status) => status === "completed",
    );
    expect([...tagsByStatus.keys()]).toEqual(["draft", "running", "completed"]);
    const tags = [...tagsByStatus.values()].map((set) => [...set]);
    expect(new Set(tags.flat()).size).toBe(tags.flat().length);
  });
});

describe("POST /v1/experiments/{id}/exposures/refresh", () => {
  it("returns 202 with the time of the request, and refreshes", async () => {
    const id = await create(worker, running());
    const { computed_at } = await untilComputed(worker, id);
    await expose(id, "ann");
    const before = Date.now();
    const response = await refresh(worker, id);
    expect(response.status).toBe(202);
    expect(response.json).toEqual({ experiment_id: id, refresh_requested_at: expect.any(String) });
    const requestedAt = Date.parse(response.json.refresh_requested_at);
    expect(requestedAt).toBeGreaterThanOrEqual(before - 50);
    expect(requestedAt).toBeLessThanOrEqual(Date.now() + 50);
    const done = await untilComputed(worker, id);
    expect(done.exposures.total_identities).toBe(1);
    expect(Date.parse(done.computed_at)).toBeGreaterThan(Date.parse(computed_at));
    expect(Date.parse(done.as_of)).toBeGreaterThanOrEqual(requestedAt);
  });

  it("refreshes an ended experiment that still accepts late events", async () => {
    const id = await create(worker, ended());
    await untilComputed(worker, id);
    await expose(id, "late");
    expect((await refresh(worker, id)).status).toBe(202);
    const { exposures, is_final } = await untilComputed(worker, id);
    expect({ total: exposures.total_identities, is_final }).toEqual({ total: 1, is_final: false });
  });

  it.each([
    { outcome: "404 for an unknown experiment", status: 404, prepare: async () => "nothing-here" },
    { outcome: "409 for a draft", status: 409, prepare: () => create(worker, {}) },
    {
      outcome: "409 for a planned experiment",
      status: 409,
      prepare: () => create(worker, { started_at: fromNow(HOUR) }),
    },
    {
      outcome: "409 for an experiment with final numbers",
      status: 409,
      prepare: async () => {
        const id = await create(worker, settled());
        expect((await untilComputed(worker, id)).is_final).toBe(true);
        return id;
      },
    },
  ])("returns $outcome every time, and changes nothing", async ({ status, prepare }) => {
    const id = await prepare();
    const before = await get(worker, id);
    for (let time = 0; time < 2; time += 1) {
      const response = await refresh(worker, id);
      expect(response.status).toBe(status);
      expect(response.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
      expect(response.headers.has("Retry-After")).toBe(false);
    }
    const after = await get(worker, id);
    expect([after.text, after.headers.get("ETag")]).toEqual([before.text, before.headers.get("ETag")]);
  });

  it("returns 429 with Retry-After within the interval, and changes nothing", async () => {
    const id = await create(worker, running());
    await untilComputed(worker, id);
    expect((await refresh(worker, id)).status).toBe(202);
    await untilComputed(worker, id);
    const before = await get(worker, id);
    const response = await refresh(worker, id);
    expect(response.status).toBe(429);
    expect(response.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
    expect(response.headers.get("Retry-After")).toMatch(/^\d+$/);
    const seconds = Number(response.headers.get("Retry-After"));
    expect(seconds).toBeGreaterThan(270);
    expect(seconds).toBeLessThanOrEqual(300);
    const after = await get(worker, id);
    expect([after.text, after.headers.get("ETag")]).toEqual([before.text, before.headers.get("ETag")]);
  });

  it("keeps a separate interval for each experiment", async () => {
    const ids = [await create(worker, running()), await create(worker, running())];
    for (const id of ids) expect((await refresh(worker, id)).status).toBe(202);
  });

  it("returns 202 again once the interval is over, and not before", async () => {
    const id = await create(publicWorker, running());
    await untilComputed(publicWorker, id);
    const before = Date.now();
    expect((await refresh(publicWorker, id)).status).toBe(202);
    const refused = await refresh(publicWorker, id);
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, "1"]);
    const response = await until(
      async () => ({ ...(await refresh(publicWorker, id)), receivedAt: Date.now() }),
      ({ status }) => status !== 429,
    );
    expect(response.status).toBe(202);
    expect(response.receivedAt - before).toBeGreaterThanOrEqual(1000);
  });

  it("returns 202 to exactly one of several concurrent requests and 429 to the others", async () => {
    for (const requests of [2, 8]) {
      const id = await create(worker, running());
      await untilComputed(worker, id);
      const responses = await Promise.all(Array.from({ length: requests }, () => refresh(worker, id)));
      const statuses = responses.map(({ status }) => status).sort();
      expect(statuses).toEqual([202, ...Array.from({ length: requests - 1 }, () => 429)]);
    }
  });

  it("does not count a failed refresh towards the interval", async () => {
    const id = await create(disconnected, running());
    await until(
      () => disconnected.exposures(id),
      ({ last_error_at }) => last_error_at !== null,
    );
    for (let time = 0; time < 2; time += 1) {
      const accepted = await refresh(disconnected, id);
      expect(accepted.status).toBe(202);
      await until(
        () => disconnected.exposures(id),
        ({ last_error_at }) => Date.parse(last_error_at) >= Date.parse(accepted.json.refresh_requested_at),
      );
    }
  });

  it("ignores a body", async () => {
    const id = await create(worker, running());
    const response = await worker.fetch(`${pathOf(id)}/refresh`, {
      method: "POST",
      headers: { Authorization: `Bearer ${ADMIN}`, "Content-Type": "text/plain" },
      body: "now, please",
    });
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({ experiment_id: id });
  });
});
