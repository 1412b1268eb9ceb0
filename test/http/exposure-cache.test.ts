import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { importBackups } from "../../src/store/backups.ts";
import { type Database, DatabaseUnavailable } from "../../src/store/database.ts";
import { deleteExperiment, putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { recordManualRequest, recordWebhook } from "../../src/store/refresh-requests.ts";
import { getRefreshBasis, saveFailure, saveSummary } from "../../src/store/refresh-results.ts";
import { getSummary } from "../../src/store/summaries.ts";
import { appDeps } from "../support/app-deps.ts";

// Exposures answered from memory, on a real database and with a clock of the test's own.

const [ADMIN, READER] = ["admin", "reader"];
const HOUR = 3_600_000;
const START = Date.UTC(2026, 5, 1);
const PATH = "/v1/experiments/some/exposures";

let sqlite: ReturnType<typeof openSqlite>;
let now: number;
/** What the database was asked, and whether the answers to transactions get lost. */
let statements: string[];
let loses: boolean;
beforeEach(async () => {
  sqlite = openSqlite(":memory:");
  await migrate(sqlite, readMigrations("migrations/d1"));
  now = START;
  statements = [];
  loses = false;
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
      if (loses) throw new DatabaseUnavailable("lost");
      return rows;
    },
  };
  const deps = appDeps({ ADMIN_TOKEN: ADMIN, READ_TOKEN: READER, ...env }, observed, { clock: () => now });
  const { database } = deps;
  const app = createApp(deps);
  async function call(token: string, method = "GET", path = PATH, more: Record<string, string> = {}, body?: object) {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...more };
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const answer = await app.request(path, init, {});
    const text = await answer.text();
    const timing = answer.headers.get("Server-Timing");
    return { status: answer.status, headers: answer.headers, text, timing, hit: timing === "cache;desc=hit" };
  }
  const put = (times: object = {}) => {
    const body = { environment_key: "env", feature_name: "button", ...times };
    return call(ADMIN, "PUT", "/v1/experiments/some", {}, body);
  };
  const makeKey = async (body: object = {}): Promise<{ id: string; key: string }> =>
    JSON.parse((await call(ADMIN, "POST", "/v1/api-keys", {}, { name: "a", role: "read", ...body })).text);
  return { app, database, call, put, makeKey };
}

type Isolate = ReturnType<typeof startIsolate>;

/** The experiment is there, and its answer in memory. */
async function startWarm(env: Record<string, string> = {}, times: object = {}): Promise<Isolate> {
  const isolate = startIsolate(env);
  expect((await isolate.put(times)).status).toBe(201);
  expect((await isolate.call(ADMIN)).hit).toBe(false);
  return isolate;
}

const headersOf = ({ headers }: { headers: Headers }) =>
  Object.fromEntries([...headers].filter(([name]) => name !== "x-request-id" && name !== "server-timing"));

describe("an answer from memory", () => {
  it("is that of the database, and costs no statement", async () => {
    const isolate = startIsolate();
    await isolate.put();
    const missed = await isolate.call(ADMIN);
    expect(missed.timing).toMatch(/^cache;desc=miss, db;dur=\d+$/);
    statements = [];
    const hit = await isolate.call(ADMIN);
    expect(hit.timing).toBe("cache;desc=hit");
    expect(statements).toEqual([]);
    expect([hit.status, hit.text, headersOf(hit)]).toEqual([200, missed.text, headersOf(missed)]);
  });

  it("lasts CACHE_SECONDS and no longer", async () => {
    const isolate = await startWarm({ CACHE_SECONDS: "7" });
    now += 6999;
    expect((await isolate.call(ADMIN)).hit).toBe(true);
    now += 1;
    expect((await isolate.call(ADMIN)).hit).toBe(false);
    expect((await isolate.call(ADMIN)).hit).toBe(true);
  });

  it("is never given with CACHE_SECONDS=0", async () => {
    const isolate = await startWarm({ CACHE_SECONDS: "0" });
    expect((await isolate.call(ADMIN)).hit).toBe(false);
  });

  it("is a 304 for who has it, and has no body for HEAD", async () => {
    const isolate = await startWarm();
    const hit = await isolate.call(ADMIN);
    const etag = hit.headers.get("ETag") ?? "";
    statements = [];
    const unchanged = await isolate.call(ADMIN, "GET", PATH, { "If-None-Match": `"x", W/${etag}` });
    expect([unchanged.status, unchanged.text, unchanged.hit]).toEqual([304, "", true]);
    expect(unchanged.headers.get("ETag")).toBe(etag);
    const head = await isolate.call(ADMIN, "HEAD");
    expect([head.status, head.text, head.hit]).toEqual([200, "", true]);
    expect(headersOf(head)).toEqual(headersOf(hit));
    expect(statements).toEqual([]);
  });

  it("has the request's id, or one of its own if that is none", async () => {
    const isolate = await startWarm();
    const idOf = async (id: string) =>
      (await isolate.call(ADMIN, "GET", PATH, { "X-Request-Id": id })).headers.get("X-Request-Id");
    for (const id of ["mine-1_=", "a".repeat(255)]) expect(await idOf(id)).toBe(id);
    for (const id of ["a b", "a".repeat(256), "", "<script>"]) expect(await idOf(id)).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("changes its status, and with it the ETag, at the very millisecond", async () => {
    const times = { started_at: new Date(START + 2000).toISOString(), ended_at: new Date(START + 3000).toISOString() };
    const isolate = await startWarm({}, times);
    const seen = [];
    for (const at of [1999, 2000, 2999, 3000]) {
      now = START + at;
      const { hit, text, headers } = await isolate.call(ADMIN);
      expect(hit).toBe(true);
      seen.push(JSON.parse(text).status);
      expect(headers.get("ETag")).toContain(seen.at(-1));
    }
    expect(seen).toEqual(["draft", "running", "running", "completed"]);
  });

  it("is not kept of what is not there", async () => {
    const isolate = startIsolate();
    for (const _ of [1, 2]) {
      statements = [];
      expect((await isolate.call(ADMIN)).status).toBe(404);
      expect(statements).toHaveLength(1);
    }
    expect((await isolate.put()).status).toBe(201);
    expect((await isolate.call(ADMIN)).status).toBe(200);
  });

  it("is only for its very address and for GET", async () => {
    const isolate = await startWarm();
    for (const path of [`${PATH}/`, `${PATH}/x`, `/x${PATH}`, PATH.replace("some", "a/some"), PATH.toUpperCase()])
      expect((await isolate.call(ADMIN, "GET", path)).status).toBe(404);
    expect((await isolate.call(ADMIN, "GET", `${PATH}?a=/v1/experiments/other/exposures`)).hit).toBe(true);
    expect((await isolate.call(ADMIN, "POST")).status).toBe(405);
  });

  it("tells pages of other origins that they may have it", async () => {
    const isolate = await startWarm({ CORS_ORIGINS: "https://a.example" });
    const { hit, headers } = await isolate.call(ADMIN, "GET", PATH, { Origin: "https://a.example" });
    expect(hit).toBe(true);
    expect(headers.get("Access-Control-Allow-Origin")).toBe("https://a.example");
    expect(headers.get("Vary")).toMatch(/Authorization.*Origin/);
  });
});

describe("who asks is looked at before what is in memory is given:", () => {
  it("no token, a wrong one, and a wrong one that begins like the right one", async () => {
    const isolate = await startWarm();
    for (const token of ["", "wrong", ADMIN.slice(0, -1), `${ADMIN}x`])
      expect((await isolate.call(token)).status).toBe(401);
    expect((await isolate.app.request(PATH, {}, {})).status).toBe(401);
  });

  it("the reader and any key may have it, but a key of another environment finds nothing", async () => {
    const isolate = await startWarm();
    const [all, own, other] = [
      await isolate.makeKey(),
      await isolate.makeKey({ environment_key: "env" }),
      await isolate.makeKey({ environment_key: "other" }),
    ];
    for (const _ of [1, 2]) {
      for (const token of [READER, all.key, own.key]) expect((await isolate.call(token)).status).toBe(200);
      expect((await isolate.call(other.key)).status).toBe(404);
    }
    for (const token of [READER, all.key, own.key]) expect((await isolate.call(token)).hit).toBe(true);
  });

  it("a key that is revoked here ends at once, and one that expires at its very millisecond", async () => {
    const isolate = await startWarm({ CACHE_SECONDS: "60" });
    const [revoked, expiring] = [
      await isolate.makeKey(),
      await isolate.makeKey({ expires_at: new Date(now + 5000).toISOString() }),
    ];
    for (const { key } of [revoked, expiring])
      for (const _ of [1, 2]) expect((await isolate.call(key)).status).toBe(200);
    await isolate.call(ADMIN, "DELETE", `/v1/api-keys/${revoked.id}`);
    expect((await isolate.call(revoked.key)).status).toBe(401);
    now += 4999;
    expect((await isolate.call(expiring.key)).hit).toBe(true);
    now += 1;
    expect((await isolate.call(expiring.key)).status).toBe(401);
    expect((await isolate.call(ADMIN)).hit).toBe(true);
  });

  it("a key that is revoked elsewhere ends within 30 seconds, however often it is used", async () => {
    const [here, there] = [await startWarm({ CACHE_SECONDS: "900" }), startIsolate()];
    const { id, key } = await there.makeKey();
    expect((await here.call(key)).status).toBe(200);
    await there.call(ADMIN, "DELETE", `/v1/api-keys/${id}`);
    for (let second = 0; second < 30; second += 1) {
      expect((await here.call(key)).hit).toBe(true);
      now += 1000;
    }
    expect((await here.call(key)).status).toBe(401);
  });

  it("with PUBLIC_READ everybody may have it, whatever they send", async () => {
    const isolate = await startWarm({ PUBLIC_READ: "true" });
    expect((await isolate.call("wrong")).hit).toBe(true);
    const answer = await isolate.app.request(PATH, {}, {});
    expect([answer.status, answer.headers.get("Cache-Control")]).toEqual([200, "public, max-age=5"]);
  });
});

describe("no answer from memory is older than a write of the same process:", () => {
  const input = { id: "some", name: "a", environmentKey: "env", featureName: "b", variants: [], endedAt: null };
  const computed = { asOf: START, computedAt: START, isFinal: false, exposures: "{}", healthHistory: {}, alerts: [] };
  const basisOf = async (database: Database) => {
    const basis = await getRefreshBasis(database, "some");
    if (basis === null) throw new Error("gone");
    return basis;
  };
  const writes: Record<string, (database: Database) => Promise<() => Promise<unknown>>> = {
    "an edit": async (database) => () => putExperiment(database, { ...input, startedAt: null }, null, now),
    "a deletion": async (database) => () => deleteExperiment(database, "some", null),
    "a call": async (database) => () => recordManualRequest(database, "some", null, now, 0),
    "a hint for it": async (database) => () => recordWebhook(database, { experimentId: "some" }, now, null),
    "a hint for its feature": async (database) => () =>
      recordWebhook(database, { environmentKey: "env", featureName: "button" }, now, "delivery"),
    "a hint for its environment": async (database) => () =>
      recordWebhook(database, { environmentKey: "env" }, now, null),
    "a refresh": async (database) => {
      const basis = await basisOf(database);
      return () => saveSummary(database, basis, computed);
    },
    "a refresh that failed": async (database) => {
      const basis = await basisOf(database);
      return () => saveFailure(database, basis, now);
    },
  };
  const started = { started_at: new Date(START - HOUR).toISOString() };

  it.each(Object.entries(writes))("%s", async (_, prepare) => {
    const isolate = await startWarm({}, started);
    const write = await prepare(isolate.database);
    const before = await isolate.call(ADMIN);
    expect(before.hit).toBe(true);
    now += 1;
    await write();
    const after = await isolate.call(ADMIN);
    expect(after.hit).toBe(false);
    expect(after.text).not.toBe(before.text);
  });

  it.each(Object.entries(writes))("%s, though its answer was lost", async (_, prepare) => {
    const isolate = await startWarm({}, started);
    const write = await prepare(isolate.database);
    loses = true;
    await expect(write()).rejects.toThrow(DatabaseUnavailable);
    loses = false;
    expect((await isolate.call(ADMIN)).hit).toBe(false);
  });

  it("an import", async () => {
    const isolate = await startWarm();
    const experiment = { ...input, startedAt: null, createdAt: START, updatedAt: START };
    const backup = { experiment, ...computed, lastErrorAt: null };
    await importBackups(isolate.database, [backup], now);
    expect((await isolate.call(ADMIN)).hit).toBe(false);
  });

  it("others stay in memory", async () => {
    const isolate = await startWarm();
    await putExperiment(isolate.database, { ...input, id: "other", startedAt: null }, null, now);
    expect((await isolate.call(ADMIN)).hit).toBe(true);
  });

  it("a read that began before it does not bring back what was", async () => {
    const isolate = await startWarm({ CACHE_SECONDS: "60" });
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const slow: Database = {
      ...isolate.database,
      read: async (statement) => {
        const rows = await sqlite.read(statement);
        await gate;
        return rows;
      },
    };
    const reading = getSummary(slow, "some");
    await isolate.put({ ended_at: new Date(START + HOUR).toISOString(), started_at: new Date(START).toISOString() });
    open();
    expect((await reading)?.startedAt).toBeNull();
    const { hit, text } = await isolate.call(ADMIN);
    expect([hit, JSON.parse(text).status]).toEqual([false, "running"]);
  });

  it("what a new key's look-up has read is newer than what was in memory, and takes its place", async () => {
    const [here, there] = [await startWarm({ CACHE_SECONDS: "60" }), startIsolate()];
    const { key } = await there.makeKey();
    await there.put({ started_at: new Date(START).toISOString() });
    // Still what it was, for at most CACHE_SECONDS: this isolate has not heard of it.
    expect(JSON.parse((await here.call(ADMIN)).text).status).toBe("draft");
    for (const token of [key, ADMIN]) expect(JSON.parse((await here.call(token)).text).status).toBe("running");
  });
});
