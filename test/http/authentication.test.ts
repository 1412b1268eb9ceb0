import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { generateApiKey } from "../../src/http/api-key-format.ts";
import type { Database } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations.ts";
import { appDeps } from "../support/app-deps.ts";

// Several isolates on one real database, with a clock that the test sets. A single Worker cannot show this.

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

/** Starts another isolate. Its limiter allows `allowed` failures. */
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
  async function request(
    token: string,
    method = "GET",
    path = "/v1/experiments",
    body?: object,
    address = "192.0.2.1",
  ) {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await app.request(path, init, { address });
    const text = await response.text();
    return { status: response.status, headers: response.headers, json: text === "" ? null : JSON.parse(text) };
  }
  return { request, counts, logs };
}

type Isolate = ReturnType<typeof startIsolate>;
const createKey = async ({ request }: Isolate, body: object = {}) =>
  (await request(ADMIN, "POST", "/v1/api-keys", { name: "a", role: "read", ...body })).json;

describe("an API key", () => {
  it("is stored only as its SHA-256", async () => {
    const { key } = await createKey(startIsolate());
    const rows = await sqlite.read({ sql: "SELECT * FROM api_keys", values: [] });
    expect(rows).toEqual([expect.objectContaining({ sha256: createHash("sha256").update(key).digest("hex") })]);
    for (const length of [key.length, 16, 8]) expect(JSON.stringify(rows)).not.toContain(key.slice(3, 3 + length));
  });

  it("is rejected at once by the isolate that deletes it, even if it is cached", async () => {
    const here = startIsolate();
    const { id, key } = await createKey(here);
    expect((await here.request(key)).status).toBe(200);
    await here.request(ADMIN, "DELETE", `/v1/api-keys/${id}`);
    expect((await here.request(key)).status).toBe(401);
  });
});

describe("an API key on another isolate", () => {
  it("is valid at once", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const { key } = await createKey(here);
    expect((await there.request(key)).status).toBe(200);
  });

  it("is rejected within a minute of its deletion, even while in use", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const { id, key } = await createKey(here);
    expect((await there.request(key)).status).toBe(200);
    expect((await here.request(ADMIN, "DELETE", `/v1/api-keys/${id}`)).status).toBe(204);
    expect((await here.request(key)).status).toBe(401);
    let secondsAccepted = 0;
    while ((await there.request(key)).status === 200) {
      now += 1000;
      secondsAccepted += 1;
    }
    expect(secondsAccepted).toBeLessThan(60);
    expect(secondsAccepted).toBeGreaterThan(1);
  });

  it("expires to the millisecond, even if it is cached", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const { key } = await createKey(here, { expires_at: new Date(now + 5000).toISOString() });
    for (const isolate of [here, there]) expect((await isolate.request(key)).status).toBe(200);
    now += 4999;
    for (const isolate of [here, there]) expect((await isolate.request(key)).status).toBe(200);
    now += 1;
    for (const isolate of [here, there]) expect((await isolate.request(key)).status).toBe(401);
  });

  it("is not cached for longer when the clock goes back", async () => {
    const [here, there] = [startIsolate(), startIsolate()];
    const { id, key } = await createKey(here);
    expect((await there.request(key)).status).toBe(200);
    await here.request(ADMIN, "DELETE", `/v1/api-keys/${id}`);
    now -= 3_600_000;
    expect((await there.request(key)).status).toBe(401);
  });
});

describe("GET exposures", () => {
  const path = "/v1/experiments/some/exposures";
  beforeEach(async () => {
    const body = { environment_key: "env", feature_name: "button" };
    expect((await startIsolate().request(ADMIN, "PUT", "/v1/experiments/some", body)).status).toBe(201);
  });

  const expectAtMostOneStatement = async ({ request }: Isolate, token: string, status: number, at = path) => {
    statements = [];
    expect((await request(token, "GET", at)).status).toBe(status);
    expect(statements.length).toBeLessThanOrEqual(1);
  };

  it("takes at most one statement with an API key, cached or not", async () => {
    const isolate = startIsolate();
    const { key } = await createKey(isolate, { environment_key: "env" });
    for (let count = 0; count < 3; count += 1) await expectAtMostOneStatement(isolate, key, 200);
    await expectAtMostOneStatement(startIsolate(), key, 200);
    await expectAtMostOneStatement(startIsolate(), key, 404, "/v1/experiments/none/exposures");
  });

  it("takes at most one statement with an API key that is out of scope, revoked or mistyped", async () => {
    const isolate = startIsolate();
    const [other, revoked] = [await createKey(isolate, { environment_key: "other" }), await createKey(isolate)];
    await isolate.request(ADMIN, "DELETE", `/v1/api-keys/${revoked.id}`);
    await expectAtMostOneStatement(startIsolate(), other.key, 404);
    await expectAtMostOneStatement(startIsolate(), revoked.key, 401);
    await expectAtMostOneStatement(startIsolate(), `${revoked.key}0`, 401);
    expect(statements).toEqual([]);
  });

  it("takes at most one statement with ADMIN_TOKEN", () => expectAtMostOneStatement(startIsolate(), ADMIN, 200));
});

describe("the limit of failed attempts", () => {
  const fail = async ({ request }: Isolate, attempts: number, address?: string) => {
    const statuses = [];
    for (let attempt = 0; attempt < attempts; attempt += 1)
      statuses.push((await request(`wrong-${attempt}`, "GET", "/v1/experiments", undefined, address)).status);
    return statuses;
  };

  it("blocks an address for a minute, which Retry-After states", async () => {
    const isolate = startIsolate(3);
    expect(await fail(isolate, 5)).toEqual([401, 401, 401, 429, 429]);
    const refused = await isolate.request("wrong");
    expect(refused.headers.get("Retry-After")).toBe("60");
    expect(refused.json).toMatchObject({ type: "urn:edge-exposures:problem:too-many-attempts", status: 429 });
    isolate.counts.clear();
    now += 59_999;
    expect((await isolate.request("wrong")).status).toBe(429);
    now += 1;
    expect((await isolate.request("wrong")).status).toBe(401);
  });

  it("lets valid credentials pass from a blocked address, cached or not", async () => {
    const [other, isolate] = [startIsolate(), startIsolate(3)];
    const { key } = await createKey(other);
    expect(await fail(isolate, 4)).toContain(429);
    for (const token of [ADMIN, key, ADMIN, key]) expect((await isolate.request(token)).status).toBe(200);
    expect((await isolate.request("wrong")).status).toBe(429);
  });

  it("looks up an unknown key once, and at most 1,000 keys for a blocked address", async () => {
    const isolate = startIsolate(3);
    await fail(isolate, 4);
    const unknown = await generateApiKey();
    statements = [];
    for (let attempt = 0; attempt < 3; attempt += 1) expect((await isolate.request(unknown)).status).toBe(429);
    for (const token of ["wrong", `${unknown}0`]) expect((await isolate.request(token)).status).toBe(429);
    expect(statements).toHaveLength(1);
    for (let count = 0; count < 1_100; count += 1) await isolate.request(await generateApiKey());
    expect(statements).toHaveLength(1_000);
    const { key } = await createKey(isolate);
    expect((await isolate.request(key)).status).toBe(429);
    now += 60_000;
    expect((await isolate.request(key)).status).toBe(200);
  });

  it("does not block other addresses", async () => {
    const isolate = startIsolate(3);
    await fail(isolate, 4, "192.0.2.1");
    const requests = ["192.0.2.2", "2001:db8::1"].map((address) =>
      isolate.request(ADMIN, "GET", "/v1/experiments", undefined, address),
    );
    expect((await Promise.all(requests)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it("logs a block once, and no further attempt", async () => {
    const isolate = startIsolate(3);
    await fail(isolate, 10, "2001:db8:1:2:3:4:5:6");
    expect(isolate.logs).toEqual([
      {
        event: "address.blocked",
        fields: { request_id: expect.any(String), what: "sign_in", address: "2001:db8:1:2::/64", seconds: 60 },
      },
    ]);
  });

  it("counts an IPv6 address by its /64 prefix", async () => {
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

  it("does not count a missing token, a missing right or an expired key", async () => {
    const isolate = startIsolate(0);
    const { key } = await createKey(isolate, { expires_at: new Date(now + 1000).toISOString() });
    now += 1000;
    expect((await isolate.request("")).status).toBe(401);
    expect((await isolate.request(key)).status).toBe(401);
    const reader = await createKey(isolate);
    expect((await isolate.request(reader.key, "GET", "/v1/api-keys")).status).toBe(403);
    expect(isolate.counts.size).toBe(0);
  });
});
