import { describe, expect, it } from "vitest";
import { connectFlagsmith } from "../../src/flagsmith/flagsmith-client.ts";
import { adviceForFlagsmith } from "../../src/flagsmith/flagsmith-failure.ts";
import { entry, metricEntry } from "../support/flagsmith-shapes.ts";

const KEY = "key-that-must-stay-secret";
const API = "https://flagsmith.example/api/v1/";
const NEVER = Number.MAX_SAFE_INTEGER;
const json = (body: unknown, init?: ResponseInit) => new Response(JSON.stringify(body), init);
const page = (results: unknown[], { count = results.length, next = null as string | null } = {}) =>
  json({ count, next, previous: null, results });

/** A client whose requests are answered one after the other, the last answer again and again. */
function clientOf(...answers: (() => Response | Promise<Response>)[]) {
  const requests: { url: string; init: RequestInit | undefined }[] = [];
  const sleeps: number[] = [];
  let now = 0;
  const client = connectFlagsmith(
    { apiUrl: new URL(API), apiKey: KEY },
    {
      send: async (url, init) => {
        const answer = answers[Math.min(requests.length, answers.length - 1)];
        requests.push({ url: String(url), init });
        return answer?.() ?? json(null);
      },
      clock: () => now,
      random: () => 0,
      sleep: async (ms) => {
        sleeps.push(ms);
        now += ms;
      },
    },
  );
  return { client, requests, sleeps };
}

describe("a client of Flagsmith's API", () => {
  it("sends the key to the configured URL, and follows no redirect", async () => {
    const { client, requests } = clientOf(() => page([]));
    expect(await client.listExperiments("env", NEVER)).toEqual({ ok: true, value: [] });
    expect(requests[0]?.url).toBe(`${API}environments/env/experiments/?page_size=100`);
    expect(requests[0]?.init).toMatchObject({ redirect: "manual", headers: { Authorization: `Api-Key ${KEY}` } });
  });

  it("reads all pages from the configured origin, though a proxy hides the scheme", async () => {
    const next = "http://flagsmith.example/api/v1/environments/env/experiments/?page=2&page_size=100";
    const { client, requests } = clientOf(
      () => page([entry(1)], { count: 2, next }),
      () => page([entry(2)], { count: 2 }),
    );
    const listed = await client.listExperiments("env", NEVER);
    expect(listed.ok && listed.value.map(({ id }) => id)).toEqual([1, 2]);
    expect(requests[1]?.url).toBe(`${API}environments/env/experiments/?page=2&page_size=100`);
  });

  it("fails when an entry is deleted between two pages, which hides another one", async () => {
    const { client } = clientOf(
      () => page([entry(4), entry(3)], { count: 4, next: "?page=2" }),
      () => page([entry(1)], { count: 3 }),
    );
    expect(await client.listExperiments("env", NEVER)).toEqual({ ok: false, failure: { kind: "changing" } });
  });

  it.each([
    ["another host", "https://evil.example/api/v1/environments/env/experiments/?page=2"],
    ["another path", `${API}environments/other/experiments/?page=2`],
    ["no URL", "http://"],
  ])("refuses a next page at %s", async (_, next) => {
    const { client, requests } = clientOf(() => page([entry(1)], { count: 2, next }));
    expect(await client.listExperiments("env", NEVER)).toEqual({ ok: false, failure: { kind: "elsewhere" } });
    expect(requests).toHaveLength(1);
  });

  it("gives up on endless pages", async () => {
    let id = 0;
    const next = `${API}environments/env/experiments/?page=2`;
    const { client, requests } = clientOf(() => page([entry(++id)], { count: 10_000, next }));
    expect(await client.listExperiments("env", NEVER)).toEqual({ ok: false, failure: { kind: "too_large" } });
    expect(requests).toHaveLength(100);
  });

  it.each([
    ["the count differs from the entries", () => page([entry(1)], { count: 2 }), "changing"],
    ["an entry appears twice", () => page([entry(1), entry(1)]), "changing"],
    ["a page is empty but not the last", () => page([], { count: 1, next: "?page=2" }), "unexpected"],
    ["an entry has no id", () => page([{ ...entry(1), id: "1" }]), "unexpected"],
    ["the page is a list", () => json([entry(1)]), "unexpected"],
    ["the answer is HTML", () => new Response("<!doctype html>"), "not_json"],
    ["the answer is too large", () => new Response(new Uint8Array(8 * 1024 * 1024 + 1)), "too_large"],
    [
      "it redirects",
      () => new Response(null, { status: 302, headers: { Location: "https://evil.example/" } }),
      "redirected",
    ],
    ["the key is wrong", () => json({}, { status: 401 }), "unauthorized"],
    ["the environment is unknown", () => json({}, { status: 403 }), "forbidden"],
    ["there are no experiments", () => json({}, { status: 404 }), "not_found"],
    ["the request is refused", () => json({}, { status: 400 }), "refused"],
  ] as const)("fails at once when %s", async (_, answer, kind) => {
    const { client, requests } = clientOf(answer);
    const listed = await client.listExperiments("env", NEVER);
    expect(listed).toEqual({ ok: false, failure: { kind } });
    expect(requests).toHaveLength(1);
    expect(adviceForFlagsmith({ kind }, "env")).toMatch(/^[A-Z].+\.$/);
  });

  it("returns an experiment of an unknown shape as unreadable", async () => {
    const { client } = clientOf(() => page([entry(1), { ...entry(2), status: "archived" }, entry(3, { name: "\0" })]));
    const listed = await client.listExperiments("env", NEVER);
    expect(listed.ok && listed.value.map((each) => "unreadable" in each)).toEqual([false, true, false]);
  });

  it("repeats a request after a server error, with growing pauses", async () => {
    const { client, sleeps } = clientOf(
      () => json({}, { status: 503 }),
      () => Promise.reject(new TypeError(`failed to fetch ${API} with ${KEY}`)),
      () => page([entry(1)]),
    );
    expect((await client.listExperiments("env", NEVER)).ok).toBe(true);
    expect(sleeps).toEqual([500, 2000]);
  });

  it("does not repeat a request that timed out", async () => {
    const { client, requests } = clientOf(() => Promise.reject(new DOMException(KEY, "TimeoutError")));
    expect(await client.listExperiments("env", NEVER)).toEqual({ ok: false, failure: { kind: "timeout" } });
    expect(requests).toHaveLength(1);
  });

  it.each([
    ["unavailable", () => json({}, { status: 500 })],
    ["unreachable", () => Promise.reject(new TypeError(KEY))],
    ["rate_limited", () => json({}, { status: 429 })],
  ] as const)("gives up after three attempts: %s", async (kind, answer) => {
    const { client, requests } = clientOf(answer);
    const listed = await client.listExperiments("env", NEVER);
    expect(listed).toEqual({ ok: false, failure: { kind } });
    expect(requests).toHaveLength(3);
    expect(JSON.stringify(listed)).not.toContain(KEY);
  });

  it("waits as long as Retry-After says, but not for long", async () => {
    const limited = (after: string) => () => json({}, { status: 429, headers: { "Retry-After": after } });
    const { client, sleeps } = clientOf(limited("3"), limited(new Date(10_000).toUTCString()), () => page([]));
    expect((await client.listExperiments("env", NEVER)).ok).toBe(true);
    expect(sleeps).toEqual([3000, 7000]);
    const patient = clientOf(limited("60"));
    expect(await patient.client.listExperiments("env", NEVER)).toEqual({
      ok: false,
      failure: { kind: "rate_limited" },
    });
    expect(patient.sleeps).toEqual([]);
  });

  it("starts no request after the deadline", async () => {
    const { client, requests } = clientOf(() => json({}, { status: 500 }));
    expect(await client.listExperiments("env", 0)).toEqual({ ok: false, failure: { kind: "timeout" } });
    expect(requests).toEqual([]);
    expect(await client.listExperiments("env", 400)).toEqual({ ok: false, failure: { kind: "unavailable" } });
    expect(requests).toHaveLength(1);
  });

  it("reads the events of metrics, and the rollout of an experiment", async () => {
    const metrics = clientOf(() =>
      page([metricEntry(1, "buy"), { ...metricEntry(2, ""), definition: { version: 9 } }]),
    );
    expect(await metrics.client.listMetricEvents("env", NEVER)).toEqual({
      ok: true,
      value: new Map([
        [1, "buy"],
        [2, null],
      ]),
    });
    const values = [{ multivariate_feature_option: 5, percentage_allocation: 12.5 }];
    const rollout = { enabled: true, rollout_percentage: 20, multivariate_feature_state_values: values };
    const detail = clientOf(
      () => json({ ...entry(7), experiment_rollout: rollout }),
      () => json({ ...entry(7), experiment_rollout: null }),
      () => json(entry(7)),
    );
    const read = () => detail.client.readRollout("env", 7, NEVER);
    expect(await read()).toEqual({ ok: true, value: [{ optionId: 5, percentage: 12.5 }] });
    expect(await read()).toEqual({ ok: true, value: null });
    expect(await read()).toEqual({ ok: false, failure: { kind: "unexpected" } });
    expect(detail.requests[0]?.url).toBe(`${API}environments/env/experiments/7/`);
  });
});
