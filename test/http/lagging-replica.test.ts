import { beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { NO_RESULT_HISTORY } from "../../src/results/result-history.ts";
import { putExperiment } from "../../src/store/experiments.ts";
import { beginRefresh } from "../../src/store/refresh-basis.ts";
import { saveSummary } from "../../src/store/refresh-results.ts";
import { appDeps } from "../support/app-deps.ts";
import { openLagging } from "../support/lagging.ts";

// Reads while D1's nearest replica lacks the newest writes. The clock is the test's.

const HOUR = 3_600_000;
const START = Date.UTC(2026, 5, 1);
const headers = { Authorization: "Bearer admin", "Content-Type": "application/json" };

let lagging: Awaited<ReturnType<typeof openLagging>>;
let now: number;
beforeEach(async () => {
  lagging = await openLagging();
  now = START + HOUR;
});

function startIsolate(vars: Record<string, string> = {}) {
  const env = { ADMIN_TOKEN: "admin", SESSION_SECRET: "secret", REFRESH_MIN_INTERVAL_SECONDS: "0", ...vars };
  const deps = appDeps(env, lagging.database, { clock: () => now });
  const app = createApp(deps);
  const cookies = new Map<string, string>();
  /** Sends a request of one visitor, who keeps cookies. */
  async function visit(path: string, fields?: Record<string, string>, more: Record<string, string> = {}) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const body = fields === undefined ? {} : { method: "POST", body: new URLSearchParams(fields) };
    const response = await app.request(path, { ...body, headers: { Cookie: cookie, ...more } }, {});
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = "", maxAge] = /^([^=]+)=([^;]*);(?:.*Max-Age=(\d+))?/.exec(line) ?? [];
      cookies.set(name, value);
      if (name === "wrote") expect([maxAge, line]).toEqual(["60", expect.stringContaining("HttpOnly")]);
    }
    return { status: response.status, text: await response.text(), headers: response.headers };
  }
  const exposures = async () => (await app.request("/v1/experiments/some/exposures", { headers }, {})).json();
  return { database: deps.database, app, visit, exposures, signIn: () => visit("/login", { token: "admin" }), cookies };
}

type Isolate = ReturnType<typeof startIsolate>;

async function put(isolate: Isolate, more: object = {}) {
  const input = {
    id: "some",
    name: "some",
    environmentKey: "env",
    featureName: "button",
    variants: [],
    metrics: [],
    endedAt: null,
  };
  expect(await putExperiment(isolate.database, { ...input, startedAt: START, ...more }, null, now)).toMatchObject({
    ok: true,
  });
}

/** Stores numbers as of now, with this many identities. */
async function refresh(isolate: Isolate, total: number) {
  const basis = await beginRefresh(isolate.database, "some");
  if (basis === null) throw new Error("The experiment is missing.");
  const exposures = JSON.stringify({
    total_identities: total,
    excluded_identities: 0,
    variants: { control: total },
    health: { status: "healthy", checks: [] },
    timeseries: { granularity: "hour", points: [] },
  });
  const numbers = { asOf: now, computedAt: now, isFinal: false, identities: total, isIdle: false, exposures };
  const changes = { healthHistory: {}, resultHistory: NO_RESULT_HISTORY, alerts: [] };
  expect(await saveSummary(isolate.database, basis, { ...numbers, ...changes, results: null })).toBe(true);
}

const isPending = ({ text }: { text: string }) => text.includes("Refreshing…");

describe("a visitor who has requested a refresh", () => {
  it.each([
    ["the script", { Accept: "application/json" }, 202],
    ["the form", {}, 303],
  ])("is never shown the numbers of before as new, with %s, in another isolate", async (_, accept, status) => {
    const [here, there] = [startIsolate(), startIsolate()];
    await put(there);
    await refresh(there, 1111);
    await lagging.catchUp();
    await here.signIn();
    expect((await here.visit("/experiments/some")).text).toContain("1,111");

    // The request arrives at one isolate, and the next reads at another.
    const elsewhere = startIsolate();
    await elsewhere.signIn();
    expect((await elsewhere.visit("/experiments/some/refresh", {}, accept)).status).toBe(status);
    for (const [name, value] of elsewhere.cookies) here.cookies.set(name, value);
    expect(isPending(await here.visit("/experiments/some"))).toBe(true);
    now += 1000;
    await refresh(there, 2222);
    const page = await here.visit("/experiments/some");
    expect([isPending(page), page.text.includes("2,222")]).toEqual([false, true]);
    expect((await here.visit("/")).text).toContain("2,222");
    expect((await here.visit("/v1/experiments/some/exposures.csv")).headers.get("etag")).toContain("-4-");
  });

  it("reads from the nearest replica again after a minute", async () => {
    const isolate = startIsolate();
    await put(isolate);
    await isolate.signIn();
    await isolate.visit("/experiments/some/refresh", {});
    isolate.cookies.delete("wrote");
    now += 61_000;
    expect((await isolate.visit("/experiments/some")).status).toBe(404);
  });

  it("gets a share link that names the environment to which the experiment has just moved", async () => {
    const isolate = startIsolate();
    await put(isolate);
    await lagging.catchUp();
    await put(startIsolate(), { environmentKey: "moved" });
    await isolate.signIn();
    const { text } = await isolate.visit("/experiments/some/share", { kind: "page", until: "2026-06-02" });
    const link = /readonly value="([^"]+)"/.exec(text)?.[1]?.replaceAll("&amp;", "&") ?? "";
    await lagging.catchUp();
    expect((await startIsolate().visit(new URL(link).pathname + new URL(link).search)).status).toBe(200);
  });
});

describe("a client", () => {
  it("is not answered by a replica whose row is older than what the isolate has read", async () => {
    const isolate = startIsolate({ CACHE_SECONDS: "0" });
    const other = startIsolate();
    await put(other);
    await lagging.catchUp();
    await refresh(other, 1);
    // The lookup of an API key reads the summary from the primary.
    const created = await isolate.app.request(
      "/v1/api-keys",
      { method: "POST", headers, body: JSON.stringify({ name: "a", role: "read" }) },
      {},
    );
    const { key } = await created.json();
    const withKey = { headers: { Authorization: `Bearer ${key}` } };
    const first = await (await isolate.app.request("/v1/experiments/some/exposures", withKey, {})).json();
    const second = await (await isolate.app.request("/v1/experiments/some/exposures", withKey, {})).json();
    expect([first.exposures.total_identities, second.as_of]).toEqual([1, first.as_of]);
  });

  it("sees its own write at the isolate that took it", async () => {
    const isolate = startIsolate({ CACHE_SECONDS: "0" });
    await put(isolate);
    expect((await isolate.exposures()).refresh_requested_at).toBe(new Date(now).toISOString());
    expect((await isolate.app.request("/v1/experiments/some", { headers }, {})).status).toBe(200);
    await lagging.catchUp();
    await isolate.app.request("/v1/experiments/some", { method: "DELETE", headers }, {});
    expect((await isolate.app.request("/v1/experiments/some/exposures", { headers }, {})).status).toBe(404);
  });
});

describe("an experiment that moves between environments while a page is read", () => {
  it("is shown with the numbers of its environment or not at all", async () => {
    const isolate = startIsolate();
    await put(isolate);
    await refresh(isolate, 1111);
    await lagging.catchUp();
    const created = await isolate.app.request(
      "/v1/api-keys",
      { method: "POST", headers, body: JSON.stringify({ name: "a", role: "read", environment_key: "env" }) },
      {},
    );
    const { key } = await created.json();
    await lagging.catchUp();
    await isolate.visit("/login", { token: key });
    const paths = ["/experiments/some", "/v1/experiments/some/exposures.csv", "/v1/experiments/some/exposures.svg"];
    for (const path of paths) {
      // The cache has expired.
      now += 120_000;
      let reads = 0;
      lagging.hooks.duringRead = async () => {
        reads += 1;
        if (reads > 1) return;
        const other = startIsolate();
        await put(other, { environmentKey: "other", featureName: "secret-button" });
        await refresh(other, 9999);
        await lagging.catchUp();
      };
      const { status, text } = await isolate.visit(path);
      expect([reads, status]).toEqual([1, 200]);
      expect(text).not.toMatch(/9,999|secret-button/);
      lagging.hooks.duringRead = async () => {};
      await put(startIsolate());
      await refresh(startIsolate(), 1111);
      await lagging.catchUp();
    }
  });
});
