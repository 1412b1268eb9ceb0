import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Database } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations.ts";
import { appDeps } from "../support/app-deps.ts";

// Several isolates on one real database, with a clock of their own making: what no single Worker of the tests can show.

const ADMIN = "admin";
let folder: string;
let sqlite: ReturnType<typeof openSqlite>;
let now: number;
let statements: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "edge-exposures-sign-in-"));
  sqlite = openSqlite(join(folder, "test.sqlite"));
  await migrate(sqlite, readMigrations("migrations/d1"));
  now = Date.UTC(2026, 5, 1);
  statements = [];
});
afterEach(() => {
  sqlite.close();
  rmSync(folder, { recursive: true });
});

/** One more isolate; the limiter lets `allowed` failures pass. */
function startIsolate(allowed = Number.POSITIVE_INFINITY) {
  const database: Database = {
    read: (statement) => {
      statements.push(statement.sql);
      return sqlite.read(statement);
    },
    transact: (list) => {
      statements.push(...list.map(({ sql }) => sql));
      return sqlite.transact(list);
    },
  };
  const counts = new Map<string, number>();
  const logs: { event: string; fields: object | undefined }[] = [];
  const env = { ADMIN_TOKEN: ADMIN, FLAGSMITH_WEBHOOK_SECRET: "secret" };
  const deps = appDeps(env, database, {
    limiter: async (key) => {
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      return count <= allowed;
    },
    clock: () => now,
    log: (_, event, fields) => void logs.push({ event, fields }),
  });
  const app = createApp(deps);
  async function call(token: string, method = "GET", path = "/v1/experiments", body?: object, address = "192.0.2.1") {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const answer = await app.request(path, init, { address });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, json: text === "" ? null : JSON.parse(text) };
  }
  return { call, counts, logs };
}

type Isolate = ReturnType<typeof startIsolate>;
const makeKey = async ({ call }: Isolate, body: object = {}) =>
  (await call(ADMIN, "POST", "/v1/api-keys", { name: "a", role: "read", ...body })).json;

it("of a key nothing but its SHA-256 is stored", async () => {
  const { key } = await makeKey(startIsolate());
  const rows = await sqlite.read({ sql: "SELECT * FROM api_keys", values: [] });
  expect(rows).toEqual([expect.objectContaining({ sha256: createHash("sha256").update(key).digest("hex") })]);
  for (const length of [key.length, 16, 8]) expect(JSON.stringify(rows)).not.toContain(key.slice(3, 3 + length));
});

it("a key that is deleted stops at once where it was deleted, though it is remembered", async () => {
  const here = startIsolate();
  const { id, key } = await makeKey(here);
  expect((await here.call(key)).status).toBe(200);
  await here.call(ADMIN, "DELETE", `/v1/api-keys/${id}`);
  expect((await here.call(key)).status).toBe(401);
});

describe("a key on other isolates", () => {
  it("works at once", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const { key } = await makeKey(here);
    expect((await there.call(key)).status).toBe(200);
  });

  it("stops within a minute of its deletion, however often it is used", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const { id, key } = await makeKey(here);
    expect((await there.call(key)).status).toBe(200);
    expect((await here.call(ADMIN, "DELETE", `/v1/api-keys/${id}`)).status).toBe(204);
    expect((await here.call(key)).status).toBe(401);
    let stoppedAfter = 0;
    while ((await there.call(key)).status === 200) {
      now += 1000;
      stoppedAfter += 1;
    }
    expect(stoppedAfter).toBeLessThan(60);
    expect(stoppedAfter).toBeGreaterThan(1);
  });

  it("stops at the very millisecond of its end, though it is remembered", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const { key } = await makeKey(here, { expires_at: new Date(now + 5000).toISOString() });
    for (const isolate of [here, there]) expect((await isolate.call(key)).status).toBe(200);
    now += 4999;
    for (const isolate of [here, there]) expect((await isolate.call(key)).status).toBe(200);
    now += 1;
    for (const isolate of [here, there]) expect((await isolate.call(key)).status).toBe(401);
  });

  it("is not remembered for longer because the clock goes back", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const { id, key } = await makeKey(here);
    expect((await there.call(key)).status).toBe(200);
    await here.call(ADMIN, "DELETE", `/v1/api-keys/${id}`);
    now -= 3_600_000;
    expect((await there.call(key)).status).toBe(401);
  });
});

describe("GET exposures takes one statement at most", () => {
  const path = "/v1/experiments/some/exposures";
  beforeEach(async () => {
    const body = { environment_key: "env", feature_name: "button" };
    expect((await startIsolate().call(ADMIN, "PUT", "/v1/experiments/some", body)).status).toBe(201);
  });

  const takes = async ({ call }: Isolate, token: string, status: number, at = path) => {
    statements = [];
    expect((await call(token, "GET", at)).status).toBe(status);
    expect(statements.length).toBeLessThanOrEqual(1);
  };

  it("with a key, new to the isolate or remembered", async () => {
    const isolate = startIsolate();
    const { key } = await makeKey(isolate, { environment_key: "env" });
    for (let again = 0; again < 3; again += 1) await takes(isolate, key, 200);
    await takes(startIsolate(), key, 200);
    await takes(startIsolate(), key, 404, "/v1/experiments/none/exposures");
  });

  it("with a key of another environment, one that is revoked, and one that is mistyped", async () => {
    const isolate = startIsolate();
    const [other, revoked] = [await makeKey(isolate, { environment_key: "other" }), await makeKey(isolate)];
    await isolate.call(ADMIN, "DELETE", `/v1/api-keys/${revoked.id}`);
    await takes(startIsolate(), other.key, 404);
    await takes(startIsolate(), revoked.key, 401);
    await takes(startIsolate(), `${revoked.key}0`, 401);
    expect(statements).toEqual([]);
  });

  it("with the admin token", () => takes(startIsolate(), ADMIN, 200));
});

describe("an address whose sign-ins fail too often", () => {
  const fail = async ({ call }: Isolate, times: number, address?: string) => {
    const answers = [];
    for (let time = 0; time < times; time += 1)
      answers.push((await call(`wrong-${time}`, "GET", "/v1/experiments", undefined, address)).status);
    return answers;
  };

  it("is shut out for a minute, told how long, and let in again", async () => {
    const isolate = startIsolate(3);
    expect(await fail(isolate, 5)).toEqual([401, 401, 401, 429, 429]);
    const refused = await isolate.call("wrong");
    expect(refused.headers.get("Retry-After")).toBe("60");
    expect(refused.json).toMatchObject({ type: "urn:edge-exposures:problem:too-many-attempts", status: 429 });
    isolate.counts.clear();
    now += 59_999;
    expect((await isolate.call("wrong")).status).toBe(429);
    now += 1;
    expect((await isolate.call("wrong")).status).toBe(401);
  });

  it("gets no further guess: not even the right token is looked at, nor a statement spent", async () => {
    const [elsewhere, isolate] = [startIsolate(), startIsolate(3)];
    const { key } = await makeKey(elsewhere);
    await fail(isolate, 4);
    statements = [];
    for (const token of [ADMIN, key]) expect((await isolate.call(token)).status).toBe(429);
    expect(statements).toEqual([]);
  });

  it("keeps in who was in before", async () => {
    const isolate = startIsolate(3);
    const { key } = await makeKey(isolate);
    expect((await isolate.call(key)).status).toBe(200);
    await fail(isolate, 4);
    for (const token of [ADMIN, key]) expect((await isolate.call(token)).status).toBe(200);
  });

  it("shuts out no other address", async () => {
    const isolate = startIsolate(3);
    await fail(isolate, 4, "192.0.2.1");
    const answers = ["192.0.2.2", "2001:db8::1"].map((address) =>
      isolate.call(ADMIN, "GET", "/v1/experiments", undefined, address),
    );
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it("is one line of the log, and none for each attempt after it", async () => {
    const isolate = startIsolate(3);
    await fail(isolate, 10, "2001:db8:1:2:3:4:5:6");
    expect(isolate.logs).toEqual([
      {
        event: "address.blocked",
        fields: { request_id: expect.any(String), what: "sign_in", address: "2001:db8:1:2::/64", seconds: 60 },
      },
    ]);
  });

  it("is known by the half of an IPv6 address that one party commands", async () => {
    const isolate = startIsolate(3);
    for (const address of ["2001:db8:1:2::1", "2001:db8:1:2:ffff::", "2001:DB8:1:2:3:4:5:6", "2001:db8:1:2::"])
      await fail(isolate, 1, address);
    expect([...isolate.counts.keys()]).toEqual(["sign_in:2001:db8:1:2::/64"]);
    await fail(isolate, 1, "2001:db8:1:3::1");
    await fail(isolate, 1, "::1");
    await fail(isolate, 1, "::ffff:192.0.2.7");
    expect([...isolate.counts.keys()].slice(1)).toEqual([
      "sign_in:2001:db8:1:3::/64",
      "sign_in:0:0:0:0::/64",
      "sign_in:192.0.2.7",
    ]);
  });

  it("does not come to it by requests without any token, without the right, or with an expired key", async () => {
    const isolate = startIsolate(0);
    const { key } = await makeKey(isolate, { expires_at: new Date(now + 1000).toISOString() });
    now += 1000;
    expect((await isolate.call("")).status).toBe(401);
    expect((await isolate.call(key)).status).toBe(401);
    const reader = await makeKey(isolate);
    expect((await isolate.call(reader.key, "GET", "/v1/api-keys")).status).toBe(403);
    expect(isolate.counts.size).toBe(0);
  });
});
