import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { faults, startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { ADMIN, startWorker, type TestWorker, until } from "../support/worker.ts";

let warehouse: TestWarehouse;
/** Before the warehouse of the worker that comes next. */
let proxy: WarehouseProxy;
/** With the defaults but for the cache. */
let worker: TestWorker;
/** Public, and refreshed every second if one likes. */
let eager: TestWorker;
/** With a warehouse that is not there. */
let cut: TestWorker;
beforeAll(async () => {
  warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  worker = await startWorker(proxy.settings, { CACHE_SECONDS: 7 });
  eager = await startWorker(warehouse.settings, {
    PUBLIC_READ: true,
    CACHE_SECONDS: 60,
    REFRESH_MIN_INTERVAL_SECONDS: 1,
  });
  cut = await startWorker(warehouse.settings, { CLICKHOUSE_URL: "http://127.0.0.1:1" });
});
afterAll(async () => {
  await Promise.all([worker, eager, cut].map((each) => each?.stop()));
  proxy?.stop();
});

const HOUR = 3_600_000;
const fromNow = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();
const running = () => ({ started_at: fromNow(-2 * HOUR) });
const ended = () => ({ started_at: fromNow(-4 * HOUR), ended_at: fromNow(-1000) });
/** Longer ago than SETTLE_SECONDS: its first refresh is its last. */
const settled = () => ({ started_at: fromNow(-4 * HOUR), ended_at: fromNow(-2 * HOUR) });

type Times = { started_at?: string; ended_at?: string };

let made = 0;
/** Puts an experiment of its own, and tells its id. */
async function create(on: TestWorker, times: Times): Promise<string> {
  made += 1;
  const id = `experiment-${made}`;
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

/** Until all that was asked for is done and there are numbers. */
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
  it("answers 200 with nulls for a draft", async () => {
    const id = await create(worker, {});
    const answer = await get(worker, id);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Content-Type")).toMatch(/^application\/json\b/);
    expect(answer.json).toEqual({
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

  it("answers 200 with nulls, and the error, for one that was never computed because the warehouse is away", async () => {
    const id = await create(cut, running());
    const answer = await until(
      () => cut.exposures(id),
      ({ last_error_at }) => last_error_at !== null,
    );
    expect(answer).toEqual({
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

  it("answers the numbers of a started experiment, with every key that clients rely on", async () => {
    const id = await create(worker, {});
    await expose(id, "ann");
    const times = { started_at: fromNow(-2 * HOUR), ended_at: fromNow(-HOUR) };
    await put(worker, id, times);
    const answer = await untilComputed(worker, id);
    const start = new Date(Math.floor(Date.parse(times.started_at) / HOUR) * HOUR).toISOString();
    expect(answer).toEqual({
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
    expect(answer.exposures.timeseries.points[0]).toMatchObject({ bucket: start });
    expect(answer.exposures.timeseries.points.at(-1)).toMatchObject({ cumulative_identities: { control: 1 } });
  });

  it("answers 404 for an unknown experiment, whatever the condition", async () => {
    for (const headers of [{}, { "If-None-Match": "*" }, { "If-None-Match": '"1"' }]) {
      const answer = await get(worker, "nothing-here", headers);
      expect(answer.status).toBe(404);
      expect(answer.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
      expect(answer.headers.has("ETag")).toBe(false);
    }
  });

  it("is cached as CACHE_SECONDS says, privately unless PUBLIC_READ", async () => {
    for (const { on, scope, seconds } of [
      { on: worker, scope: "private", seconds: 7 },
      { on: eager, scope: "public", seconds: 60 },
      { on: cut, scope: "private", seconds: 5 },
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

  it("lets nobody cache that there is nothing, or that one may not see it", async () => {
    const id = await create(worker, {});
    const refused = await get(worker, id, { Authorization: "" });
    expect(refused.status).toBe(401);
    for (const { headers } of [refused, await get(eager, "nothing-here")]) {
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

  it("is strong, and the same until something changes", async () => {
    expect(etag).toMatch(/^"[\x21\x23-\x7e]+"$/);
    const answers = await Promise.all(Array.from({ length: 5 }, () => get(worker, id)));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(new Set(answers.map(({ headers }) => headers.get("ETag")))).toEqual(new Set([etag]));
  });

  it.each([
    ["itself", () => etag],
    ["itself, weak", () => `W/${etag}`],
    ["a list that has it", () => `"other", ${etag}`],
    ["a list that has it, weak and without spaces", () => `W/"other",W/${etag},"more"`],
    ["a list with a comma inside another tag", () => `"one,two", ${etag}`],
    ["*", () => "*"],
    ["itself with spaces around", () => ` ${etag} `],
  ])("answers 304 without a body to If-None-Match: %s", async (_, header) => {
    const answer = await get(worker, id, { "If-None-Match": header() });
    expect(answer).toMatchObject({ status: 304, text: "" });
    expect(answer.headers.get("ETag")).toBe(etag);
  });

  it.each([
    ["another tag", () => '"other"'],
    ["a list of others", () => '"other", W/"more"'],
    ["itself without quotes", () => etag.slice(1, -1)],
    ["only its beginning", () => `${etag.slice(0, -2)}"`],
    ["nothing", () => ""],
    ["another tag that has an asterisk in it", () => '"a*b"'],
    ["another tag that has an asterisk between commas in it", () => '"a,*,b"'],
  ])("answers 200 to If-None-Match: %s", async (_, header) => {
    const answer = await get(worker, id, { "If-None-Match": header() });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("ETag")).toBe(etag);
    expect(answer.json).toMatchObject({ experiment_id: id });
  });

  /** What a client that holds the answer sees now. */
  const revalidate = (on: TestWorker, experimentId: string, held: string) =>
    get(on, experimentId, { "If-None-Match": held });

  it("changes with a refresh that changed something", async () => {
    const own = await create(worker, running());
    await untilComputed(worker, own);
    const held = await etagOf(worker, own);
    await expose(own, "ann");
    expect((await refresh(worker, own)).status).toBe(202);
    const now = await until(
      () => revalidate(worker, own, held),
      ({ json }) => json?.exposures.total_identities === 1,
    );
    expect(now.status).toBe(200);
    expect(now.headers.get("ETag")).not.toBe(held);
  });

  it("changes with a request for a refresh, which shows until it is served", async () => {
    const own = await create(cut, running());
    await until(
      () => cut.exposures(own),
      ({ last_error_at }) => last_error_at !== null,
    );
    const held = await get(cut, own);
    const accepted = await refresh(cut, own);
    expect(accepted.status).toBe(202);
    const now = await revalidate(cut, own, held.headers.get("ETag") ?? "");
    expect(now.status).toBe(200);
    expect(now.json.refresh_requested_at).toBe(accepted.json.refresh_requested_at);
    expect(now.json.refresh_requested_at).not.toBe(held.json.refresh_requested_at);
  });

  it.each([
    { outcome: "succeeds", fault: null },
    { outcome: "fails", fault: faults["status 500"] },
  ])("changes at the moment when a refresh $outcome", async ({ fault }) => {
    const own = await create(worker, running());
    await untilComputed(worker, own);
    proxy.reset();
    proxy.closeGate();
    expect((await refresh(worker, own)).status).toBe(202);
    await until(
      () => proxy.state.mostAtOnceByFeature.get(own),
      (queries) => queries === 1,
    );
    const held = await get(worker, own);
    expect(held.json.refresh_requested_at).not.toBeNull();
    proxy.spoil(fault, own);
    proxy.openGate();
    const now = await until(
      () => get(worker, own),
      ({ text }) => text !== held.text,
    );
    proxy.spoil(null, own);
    expect(now.headers.get("ETag")).not.toBe(held.headers.get("ETag"));
    expect(now.json.last_error_at === null).toBe(fault === null);
  });

  it("changes when the experiment is deleted and created anew, though the answer is the same", async () => {
    const own = await create(worker, {});
    const before = await get(worker, own);
    await worker.call("DELETE", `/v1/experiments/${own}`);
    await put(worker, own, {});
    const after = await revalidate(worker, own, before.headers.get("ETag") ?? "");
    expect(after).toMatchObject({ status: 200, text: before.text });
    expect(after.headers.get("ETag")).not.toBe(before.headers.get("ETag"));
  });

  it("changes when the experiment is edited", async () => {
    const own = await create(worker, {});
    const held = await etagOf(worker, own);
    await put(worker, own, { started_at: fromNow(HOUR) });
    expect(await etagOf(worker, own)).not.toBe(held);
  });

  it("changes when time alone changes the status", async () => {
    const own = await create(worker, { started_at: fromNow(800), ended_at: fromNow(1600) });
    const seen = new Map<string, Set<string>>();
    await until(
      async () => {
        const { json, headers } = await get(worker, own);
        const tags = seen.get(json.status) ?? new Set();
        seen.set(json.status, tags.add(headers.get("ETag") ?? ""));
        return json.status;
      },
      (status) => status === "completed",
    );
    expect([...seen.keys()]).toEqual(["draft", "running", "completed"]);
    const tags = [...seen.values()].map((set) => [...set]);
    expect(new Set(tags.flat()).size).toBe(tags.flat().length);
  });
});

describe("POST /v1/experiments/{id}/exposures/refresh", () => {
  it("answers 202 with what it noted, and does it", async () => {
    const id = await create(worker, running());
    const { computed_at } = await untilComputed(worker, id);
    await expose(id, "ann");
    const before = Date.now();
    const answer = await refresh(worker, id);
    expect(answer.status).toBe(202);
    expect(answer.json).toEqual({ experiment_id: id, refresh_requested_at: expect.any(String) });
    const requestedAt = Date.parse(answer.json.refresh_requested_at);
    expect(requestedAt).toBeGreaterThanOrEqual(before - 50);
    expect(requestedAt).toBeLessThanOrEqual(Date.now() + 50);
    const done = await untilComputed(worker, id);
    expect(done.exposures.total_identities).toBe(1);
    expect(Date.parse(done.computed_at)).toBeGreaterThan(Date.parse(computed_at));
    expect(Date.parse(done.as_of)).toBeGreaterThanOrEqual(requestedAt);
  });

  it("refreshes an experiment that has ended but still takes in late events", async () => {
    const id = await create(worker, ended());
    await untilComputed(worker, id);
    await expose(id, "late");
    expect((await refresh(worker, id)).status).toBe(202);
    const { exposures, is_final } = await untilComputed(worker, id);
    expect({ total: exposures.total_identities, is_final }).toEqual({ total: 1, is_final: false });
  });

  it.each([
    { what: "404 for an unknown experiment", status: 404, prepare: async () => "nothing-here" },
    { what: "409 for a draft", status: 409, prepare: () => create(worker, {}) },
    {
      what: "409 for one that starts in the future",
      status: 409,
      prepare: () => create(worker, { started_at: fromNow(HOUR) }),
    },
    {
      what: "409 for one whose numbers are final",
      status: 409,
      prepare: async () => {
        const id = await create(worker, settled());
        expect((await untilComputed(worker, id)).is_final).toBe(true);
        return id;
      },
    },
  ])("answers $what, every time, and changes nothing", async ({ status, prepare }) => {
    const id = await prepare();
    const before = await get(worker, id);
    for (let time = 0; time < 2; time += 1) {
      const answer = await refresh(worker, id);
      expect(answer.status).toBe(status);
      expect(answer.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
      expect(answer.headers.has("Retry-After")).toBe(false);
    }
    const after = await get(worker, id);
    expect([after.text, after.headers.get("ETag")]).toEqual([before.text, before.headers.get("ETag")]);
  });

  it("answers 429 with Retry-After within the interval, and changes nothing", async () => {
    const id = await create(worker, running());
    await untilComputed(worker, id);
    expect((await refresh(worker, id)).status).toBe(202);
    await untilComputed(worker, id);
    const before = await get(worker, id);
    const answer = await refresh(worker, id);
    expect(answer.status).toBe(429);
    expect(answer.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
    expect(answer.headers.get("Retry-After")).toMatch(/^\d+$/);
    const seconds = Number(answer.headers.get("Retry-After"));
    expect(seconds).toBeGreaterThan(270);
    expect(seconds).toBeLessThanOrEqual(300);
    const after = await get(worker, id);
    expect([after.text, after.headers.get("ETag")]).toEqual([before.text, before.headers.get("ETag")]);
  });

  it("counts each experiment's interval for itself", async () => {
    const ids = [await create(worker, running()), await create(worker, running())];
    for (const id of ids) expect((await refresh(worker, id)).status).toBe(202);
  });

  it("answers 202 again when the interval is over, and not before", async () => {
    const id = await create(eager, running());
    await untilComputed(eager, id);
    const before = Date.now();
    expect((await refresh(eager, id)).status).toBe(202);
    const refused = await refresh(eager, id);
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, "1"]);
    const answer = await until(
      async () => ({ ...(await refresh(eager, id)), answeredAt: Date.now() }),
      ({ status }) => status !== 429,
    );
    expect(answer.status).toBe(202);
    expect(answer.answeredAt - before).toBeGreaterThanOrEqual(1000);
  });

  it("answers exactly one 202 and otherwise 429 to calls at once", async () => {
    for (const calls of [2, 8]) {
      const id = await create(worker, running());
      await untilComputed(worker, id);
      const answers = await Promise.all(Array.from({ length: calls }, () => refresh(worker, id)));
      const statuses = answers.map(({ status }) => status).sort();
      expect(statuses).toEqual([202, ...Array.from({ length: calls - 1 }, () => 429)]);
    }
  });

  it("does not charge a call whose refresh failed", async () => {
    const id = await create(cut, running());
    await until(
      () => cut.exposures(id),
      ({ last_error_at }) => last_error_at !== null,
    );
    for (let time = 0; time < 2; time += 1) {
      const call = await refresh(cut, id);
      expect(call.status).toBe(202);
      await until(
        () => cut.exposures(id),
        ({ last_error_at }) => Date.parse(last_error_at) >= Date.parse(call.json.refresh_requested_at),
      );
    }
  });

  it("needs no body and minds none", async () => {
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
