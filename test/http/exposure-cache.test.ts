import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { NO_RESULT_HISTORY } from "../../src/results/result-history.ts";
import { importBackups } from "../../src/store/backups.ts";
import { type Database, DatabaseUnavailable } from "../../src/store/database.ts";
import { deleteExperiment, putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { beginRefresh } from "../../src/store/refresh-basis.ts";
import { saveFailure } from "../../src/store/refresh-failures.ts";
import { recordManualRequest, recordWebhook } from "../../src/store/refresh-requests.ts";
import { keepSummary, saveSummary } from "../../src/store/refresh-results.ts";
import { getSummary } from "../../src/store/summaries.ts";
import { appDeps } from "../support/app-deps.ts";

// Exposures from the cache, on a real database, with a clock that the test sets.

const [ADMIN, READER] = ["admin", "reader"];
const HOUR = 3_600_000;
const START = Date.UTC(2026, 5, 1);
const PATH = "/v1/experiments/some/exposures";
const RESULTS_PATH = "/v1/experiments/some/results";

let sqlite: ReturnType<typeof openSqlite>;
let now: number;
let statements: string[];
/** True if the responses to transactions are lost after the commit. */
let losesResponses: boolean;
beforeEach(async () => {
  sqlite = openSqlite(":memory:");
  await migrate(sqlite, readMigrations("migrations/d1"));
  now = START;
  statements = [];
  losesResponses = false;
});
afterEach(() => sqlite.close());

function startIsolate(env: Record<string, string> = {}) {
  const observed: Database = {
    read: (statement) => {
      statements.push(statement.sql);
      return sqlite.read(statement);
    },
    async transact(list) {
      statements.push(...list.map(({ sql }) => sql));
      const rows = await sqlite.transact(list);
      if (losesResponses) throw new DatabaseUnavailable("outage");
      return rows;
    },
  };
  const deps = appDeps({ ADMIN_TOKEN: ADMIN, READ_TOKEN: READER, ...env }, observed, { clock: () => now });
  const { database } = deps;
  const app = createApp(deps);
  async function send(
    token: string,
    method = "GET",
    path = PATH,
    extraHeaders: Record<string, string> = {},
    body?: object,
  ) {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...extraHeaders };
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await app.request(path, init, {});
    const text = await response.text();
    const timing = response.headers.get("Server-Timing");
    return { status: response.status, headers: response.headers, text, timing, hit: timing === "cache;desc=hit" };
  }
  const put = (times: object = {}) => {
    const body = { environment_key: "env", feature_name: "button", ...times };
    return send(ADMIN, "PUT", "/v1/experiments/some", {}, body);
  };
  const createKey = async (body: object = {}): Promise<{ id: string; key: string }> =>
    JSON.parse((await send(ADMIN, "POST", "/v1/api-keys", {}, { name: "a", role: "read", ...body })).text);
  return { app, database, send, put, createKey };
}

type Isolate = ReturnType<typeof startIsolate>;

/** Starts an isolate with an experiment whose exposures are cached. */
async function startWarm(env: Record<string, string> = {}, times: object = {}): Promise<Isolate> {
  const isolate = startIsolate(env);
  expect((await isolate.put(times)).status).toBe(201);
  expect((await isolate.send(ADMIN)).hit).toBe(false);
  return isolate;
}

const headersOf = ({ headers }: { headers: Headers }) =>
  Object.fromEntries([...headers].filter(([name]) => name !== "x-request-id" && name !== "server-timing"));

describe("a cached response", () => {
  it("equals the one from the database, and takes no statement", async () => {
    const isolate = startIsolate();
    await isolate.put();
    const miss = await isolate.send(ADMIN);
    expect(miss.timing).toMatch(/^cache;desc=miss, db;dur=\d+$/);
    statements = [];
    const hit = await isolate.send(ADMIN);
    expect(hit.timing).toBe("cache;desc=hit");
    expect(statements).toEqual([]);
    expect([hit.status, hit.text, headersOf(hit)]).toEqual([200, miss.text, headersOf(miss)]);
  });

  it("serves exposures and results, each with its own body and the same ETag", async () => {
    const isolate = await startWarm();
    statements = [];
    const [exposures, results] = [await isolate.send(ADMIN), await isolate.send(ADMIN, "GET", RESULTS_PATH)];
    expect([exposures.hit, results.hit, statements]).toEqual([true, true, []]);
    expect(JSON.parse(results.text)).toMatchObject({ experiment_id: "some", results: null });
    expect(JSON.parse(exposures.text)).toMatchObject({ experiment_id: "some", exposures: null });
    expect(headersOf(results)).toEqual(headersOf(exposures));
    const etag = results.headers.get("ETag") ?? "";
    expect((await isolate.send(ADMIN, "GET", RESULTS_PATH, { "If-None-Match": etag })).status).toBe(304);
  });

  it("lasts CACHE_SECONDS", async () => {
    const isolate = await startWarm({ CACHE_SECONDS: "7" });
    now += 6999;
    expect((await isolate.send(ADMIN)).hit).toBe(true);
    now += 1;
    expect((await isolate.send(ADMIN)).hit).toBe(false);
    expect((await isolate.send(ADMIN)).hit).toBe(true);
  });

  it("is never served with CACHE_SECONDS=0", async () => {
    const isolate = await startWarm({ CACHE_SECONDS: "0" });
    expect((await isolate.send(ADMIN)).hit).toBe(false);
  });

  it("is a 304 if the ETag matches, and has no body for HEAD", async () => {
    const isolate = await startWarm();
    const hit = await isolate.send(ADMIN);
    const etag = hit.headers.get("ETag") ?? "";
    statements = [];
    const notModified = await isolate.send(ADMIN, "GET", PATH, { "If-None-Match": `"x", W/${etag}` });
    expect([notModified.status, notModified.text, notModified.hit]).toEqual([304, "", true]);
    expect(notModified.headers.get("ETag")).toBe(etag);
    const head = await isolate.send(ADMIN, "HEAD");
    expect([head.status, head.text, head.hit]).toEqual([200, "", true]);
    expect(headersOf(head)).toEqual(headersOf(hit));
    expect(statements).toEqual([]);
  });

  it("has the request's id, or a random one if that is malformed", async () => {
    const isolate = await startWarm();
    const idOf = async (id: string) =>
      (await isolate.send(ADMIN, "GET", PATH, { "X-Request-Id": id })).headers.get("X-Request-Id");
    for (const id of ["mine-1_=", "a".repeat(255)]) expect(await idOf(id)).toBe(id);
    for (const id of ["a b", "a".repeat(256), "", "<script>"]) expect(await idOf(id)).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("changes its status and its ETag to the millisecond", async () => {
    const times = { started_at: new Date(START + 2000).toISOString(), ended_at: new Date(START + 3000).toISOString() };
    const isolate = await startWarm({}, times);
    const seen = [];
    for (const at of [1999, 2000, 2999, 3000]) {
      now = START + at;
      const { hit, text, headers } = await isolate.send(ADMIN);
      expect(hit).toBe(true);
      seen.push(JSON.parse(text).status);
      expect(headers.get("ETag")).toContain(seen.at(-1));
    }
    expect(seen).toEqual(["draft", "running", "running", "completed"]);
  });

  it("is never served for a missing experiment", async () => {
    const isolate = startIsolate();
    for (const _ of [1, 2]) {
      statements = [];
      expect((await isolate.send(ADMIN)).status).toBe(404);
      expect(statements).toHaveLength(1);
    }
    expect((await isolate.put()).status).toBe(201);
    expect((await isolate.send(ADMIN)).status).toBe(200);
  });

  it("is served only for its exact path, and not for POST", async () => {
    const isolate = await startWarm();
    for (const path of [`${PATH}/`, `${PATH}/x`, `/x${PATH}`, PATH.replace("some", "a/some"), PATH.toUpperCase()])
      expect((await isolate.send(ADMIN, "GET", path)).status).toBe(404);
    expect((await isolate.send(ADMIN, "GET", `${PATH}?a=/v1/experiments/other/exposures`)).hit).toBe(true);
    expect((await isolate.send(ADMIN, "POST")).status).toBe(405);
  });

  it("has CORS headers for CORS_ORIGINS", async () => {
    const isolate = await startWarm({ CORS_ORIGINS: "https://a.example" });
    const { hit, headers } = await isolate.send(ADMIN, "GET", PATH, { Origin: "https://a.example" });
    expect(hit).toBe(true);
    expect(headers.get("Access-Control-Allow-Origin")).toBe("https://a.example");
    expect(headers.get("Vary")).toMatch(/Authorization.*Origin/);
  });
});

describe("authentication of a cached response", () => {
  it("refuses a missing token, a wrong one, and one that starts like the right one", async () => {
    const isolate = await startWarm();
    for (const token of ["", "wrong", ADMIN.slice(0, -1), `${ADMIN}x`])
      expect((await isolate.send(token)).status).toBe(401);
    expect((await isolate.app.request(PATH, {}, {})).status).toBe(401);
  });

  it("serves READ_TOKEN and keys in scope, and returns 404 to a key of another environment", async () => {
    const isolate = await startWarm();
    const [all, own, other] = [
      await isolate.createKey(),
      await isolate.createKey({ environment_key: "env" }),
      await isolate.createKey({ environment_key: "other" }),
    ];
    for (const _ of [1, 2]) {
      for (const token of [READER, all.key, own.key]) expect((await isolate.send(token)).status).toBe(200);
      expect((await isolate.send(other.key)).status).toBe(404);
    }
    for (const token of [READER, all.key, own.key]) expect((await isolate.send(token)).hit).toBe(true);
  });

  it("refuses a revoked key at once, and an expired one to the millisecond", async () => {
    const isolate = await startWarm({ CACHE_SECONDS: "60" });
    const [revoked, expiring] = [
      await isolate.createKey(),
      await isolate.createKey({ expires_at: new Date(now + 5000).toISOString() }),
    ];
    for (const { key } of [revoked, expiring])
      for (const _ of [1, 2]) expect((await isolate.send(key)).status).toBe(200);
    await isolate.send(ADMIN, "DELETE", `/v1/api-keys/${revoked.id}`);
    expect((await isolate.send(revoked.key)).status).toBe(401);
    now += 4999;
    expect((await isolate.send(expiring.key)).hit).toBe(true);
    now += 1;
    expect((await isolate.send(expiring.key)).status).toBe(401);
    expect((await isolate.send(ADMIN)).hit).toBe(true);
  });

  it("refuses a key revoked by another isolate within 30 s, even while in use", async () => {
    const [here, there] = [await startWarm({ CACHE_SECONDS: "900" }), startIsolate()];
    const { id, key } = await there.createKey();
    expect((await here.send(key)).status).toBe(200);
    await there.send(ADMIN, "DELETE", `/v1/api-keys/${id}`);
    for (let second = 0; second < 30; second += 1) {
      expect((await here.send(key)).hit).toBe(true);
      now += 1000;
    }
    expect((await here.send(key)).status).toBe(401);
  });

  it("serves any caller with PUBLIC_READ", async () => {
    const isolate = await startWarm({ PUBLIC_READ: "true" });
    expect((await isolate.send("wrong")).hit).toBe(true);
    const response = await isolate.app.request(PATH, {}, {});
    expect([response.status, response.headers.get("Cache-Control")]).toEqual([200, "public, max-age=5"]);
  });
});

describe("the cache after a write of the same process", () => {
  const input = {
    id: "some",
    name: "a",
    environmentKey: "env",
    featureName: "b",
    variants: [],
    metrics: [],
    endedAt: null,
  };
  const computed = {
    asOf: START,
    computedAt: START,
    isFinal: false,
    identities: 0,
    isIdle: false,
    exposures: "{}",
    healthHistory: {},
    resultHistory: NO_RESULT_HISTORY,
    alerts: [],
    results: null,
  };
  const basisOf = async (database: Database) => {
    const basis = await beginRefresh(database, "some");
    if (basis === null) throw new Error("gone");
    return basis;
  };
  const writes: Record<string, (database: Database) => Promise<() => Promise<unknown>>> = {
    "an edit": async (database) => () => putExperiment(database, { ...input, startedAt: null }, null, now),
    "a deletion": async (database) => () => deleteExperiment(database, "some", null),
    "a manual request": async (database) => () => recordManualRequest(database, "refresh", "some", null, now, 0),
    // The refresh before has begun. A webhook writes nothing to a request that still waits.
    "a webhook for the experiment": async (database) => {
      await basisOf(database);
      return () => recordWebhook(database, { experimentId: "some" }, now, 0, null);
    },
    "a webhook for its feature": async (database) => {
      await basisOf(database);
      return () => recordWebhook(database, { environmentKey: "env", featureName: "button" }, now, 0, "delivery");
    },
    "a webhook for its environment": async (database) => {
      await basisOf(database);
      return () => recordWebhook(database, { environmentKey: "env" }, now, 0, null);
    },
    "a refresh": async (database) => {
      const basis = await basisOf(database);
      return () => saveSummary(database, basis, computed);
    },
    "a failed refresh": async (database) => {
      const basis = await basisOf(database);
      const failure = { failedAt: now, kind: "timeout", failures: 0, retryAt: null, isCharged: false };
      return () => saveFailure(database, basis, failure);
    },
    "an incomplete count": async (database) => {
      const basis = await basisOf(database);
      return () => keepSummary(database, basis, now, false);
    },
  };
  const started = { started_at: new Date(START - HOUR).toISOString() };

  it.each(Object.entries(writes))("drops the entry: %s", async (_, prepare) => {
    const isolate = await startWarm({}, started);
    const write = await prepare(isolate.database);
    const before = await isolate.send(ADMIN);
    expect(before.hit).toBe(true);
    now += 1;
    await write();
    const after = await isolate.send(ADMIN);
    expect(after.hit).toBe(false);
    expect(after.text).not.toBe(before.text);
  });

  it.each(Object.entries(writes))("drops the entry, even if the response is lost: %s", async (_, prepare) => {
    const isolate = await startWarm({}, started);
    const write = await prepare(isolate.database);
    losesResponses = true;
    await expect(write()).rejects.toThrow(DatabaseUnavailable);
    losesResponses = false;
    expect((await isolate.send(ADMIN)).hit).toBe(false);
  });

  it("drops the entry: an import", async () => {
    const isolate = await startWarm();
    const experiment = {
      ...input,
      source: "api" as const,
      startedAt: null,
      createdAt: START,
      updatedAt: START,
      weightsChangedAt: null,
    };
    const backup = { experiment, ...computed, lastErrorAt: null };
    await importBackups(isolate.database, [backup], now);
    expect((await isolate.send(ADMIN)).hit).toBe(false);
  });

  it("keeps the entries of other experiments", async () => {
    const isolate = await startWarm();
    await putExperiment(isolate.database, { ...input, id: "other", startedAt: null }, null, now);
    expect((await isolate.send(ADMIN)).hit).toBe(true);
  });

  it("ignores the result of a read that began before the write", async () => {
    const isolate = await startWarm({ CACHE_SECONDS: "60" });
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const slow: Database = {
      ...isolate.database,
      read: async (statement) => {
        const rows = await sqlite.read(statement);
        await released;
        return rows;
      },
    };
    const reading = getSummary(slow, "some");
    await isolate.put({ ended_at: new Date(START + HOUR).toISOString(), started_at: new Date(START).toISOString() });
    release();
    expect((await reading)?.experiment.startedAt).toBeNull();
    const { hit, text } = await isolate.send(ADMIN);
    expect([hit, JSON.parse(text).status]).toEqual([false, "running"]);
  });

  it("replaces the entry by the newer one that the lookup of an API key reads", async () => {
    const [here, there] = [await startWarm({ CACHE_SECONDS: "60" }), startIsolate()];
    const { key } = await there.createKey();
    await there.put({ started_at: new Date(START).toISOString() });
    // Stale for at most CACHE_SECONDS, because another isolate wrote.
    expect(JSON.parse((await here.send(ADMIN)).text).status).toBe("draft");
    for (const token of [key, ADMIN]) expect(JSON.parse((await here.send(token)).text).status).toBe("running");
  });
});
