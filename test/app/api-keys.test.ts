import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse } from "../support/warehouse.ts";
import { READER, startWorker, type TestWorker, until } from "../support/worker.ts";

const HOUR = 3_600_000;
const fromNow = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker((await createWarehouse()).settings, { REFRESH_MIN_INTERVAL_SECONDS: 0 });
});
afterAll(() => worker.stop());

async function createKey(input: object) {
  const response = await worker.call("POST", "/v1/api-keys", { name: "test", ...input });
  expect(response.status).toBe(201);
  const key: string = response.json.key;
  const call = (method: string, path: string, body?: unknown) =>
    worker.call(method, path, body, { Authorization: `Bearer ${key}` });
  return { ...response.json, key, call };
}

const experiment = (environment_key: string, feature_name: string) => ({
  environment_key,
  feature_name,
  started_at: fromNow(-HOUR),
});

describe("POST /v1/api-keys", () => {
  it("returns the key and its properties", async () => {
    const expires_at = fromNow(HOUR);
    const body = { name: "CI of Ann", environment_key: "env", role: "write", expires_at };
    const response = await worker.call("POST", "/v1/api-keys", body);
    expect(response.status).toBe(201);
    expect(response.json).toEqual({
      ...body,
      id: expect.stringMatching(/^[0-9a-f]{16}$/),
      created_at: expect.stringMatching(/Z$/),
      key: expect.stringMatching(/^ee_[0-9a-f]{72}$/),
    });
    expect(response.headers.get("Cache-Control")).toBe("no-store");
  });

  it("defaults to every environment and no expiry", async () => {
    expect(await createKey({ role: "read" })).toMatchObject({ environment_key: null, expires_at: null });
  });

  it("returns the key only once: neither the list nor the log contains it", async () => {
    const { key, call: _, ...entry } = await createKey({ name: "once", role: "read", environment_key: "env" });
    const { json, text } = await worker.call("GET", "/v1/api-keys?limit=200");
    expect(json.api_keys).toContainEqual(entry);
    expect(text).not.toContain(key);
    expect(worker.lines().join()).not.toContain(key);
  });

  it("derives the id from the key, so that a leaked key can be identified", async () => {
    const { id, key } = await createKey({ role: "read" });
    expect(createHash("sha256").update(key).digest("hex").slice(0, 16)).toBe(id);
  });

  it("never returns the same key twice", async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => createKey({ role: "read" })));
    expect(new Set(keys.map(({ key }) => key)).size).toBe(20);
  });

  it.each([
    { problem: "an unknown role", path: "role", body: { name: "a", role: "admin" } },
    { problem: "a missing role", path: "role", body: { name: "a" } },
    { problem: "a missing name", path: "name", body: { role: "read" } },
    {
      problem: "an empty environment",
      path: "environment_key",
      body: { name: "a", role: "read", environment_key: "" },
    },
    {
      problem: "an expiry in the past",
      path: "expires_at",
      body: { name: "a", role: "read", expires_at: fromNow(-1000) },
    },
    { problem: "an unknown field", path: "rights", body: { name: "a", role: "read", rights: [] } },
  ])("rejects $problem", async ({ path, body }) => {
    const response = await worker.call("POST", "/v1/api-keys", body);
    expect(response.status).toBe(400);
    expect(response.json.errors).toEqual([{ path, message: expect.stringMatching(/./) }]);
  });
});

describe("GET /v1/api-keys", () => {
  it("returns each key once across pages", async () => {
    for (let created = 0; created < 3; created += 1) await createKey({ role: "read" });
    const all = (await worker.call("GET", "/v1/api-keys?limit=200")).json.api_keys;
    const paged = [];
    for (let cursor = ""; ; ) {
      const { json } = await worker.call("GET", `/v1/api-keys?limit=2${cursor}`);
      paged.push(...json.api_keys);
      if (json.next_cursor === null) break;
      cursor = `&cursor=${json.next_cursor}`;
    }
    expect(paged).toEqual(all);
  });
});

describe("an invalid key", () => {
  const detailFor = async (key: string) => {
    const response = await worker.call("GET", "/v1/experiments", undefined, { Authorization: `Bearer ${key}` });
    expect(response.status).toBe(401);
    expect(response.headers.get("WWW-Authenticate")).toBe('Bearer error="invalid_token"');
    return response.json.detail;
  };

  it("is reported as mistyped only if its checksum does not match", async () => {
    const { id, key } = await createKey({ role: "read" });
    const last = key.endsWith("0") ? "1" : "0";
    const typos = [
      key.slice(0, -1) + last,
      key.slice(0, -1),
      `${key}0`,
      key.replace(/[0-9a-f](?=.{40}$)/, (digit: string) => (digit === "7" ? "8" : "7")),
      key.toUpperCase().replace("EE_", "ee_"),
      "ee_",
      "ee_secret",
    ];
    for (const typo of typos) expect(await detailFor(typo)).toMatch(/mistyped/);
    await worker.call("DELETE", `/v1/api-keys/${id}`);
    expect(await detailFor(key)).toMatch(/unknown or has been revoked/);
  });

  it("is reported as an unknown token without the prefix ee_", async () => {
    expect(await detailFor("eee_1")).toMatch(/token is unknown/);
    expect(await detailFor("EE_1")).toMatch(/token is unknown/);
  });
});

describe("a key's role", () => {
  it("read allows only reads", async () => {
    await worker.call("PUT", "/v1/experiments/role", experiment("role", "role"));
    const { call } = await createKey({ role: "read" });
    for (const path of ["", "/role", "/role/exposures"])
      expect((await call("GET", `/v1/experiments${path}`)).status).toBe(200);
    expect((await call("PUT", "/v1/experiments/role", experiment("role", "role"))).status).toBe(403);
    expect((await call("DELETE", "/v1/experiments/role")).status).toBe(403);
    expect((await call("POST", "/v1/experiments/role/exposures/refresh")).status).toBe(403);
  });

  it("write also allows writes, but not the management of keys", async () => {
    const { call } = await createKey({ role: "write" });
    expect((await call("PUT", "/v1/experiments/role-2", experiment("role", "role-2"))).status).toBe(201);
    expect((await call("POST", "/v1/experiments/role-2/exposures/refresh")).status).toBe(202);
    expect((await call("GET", "/v1/warehouse/check")).status).toBe(200);
    expect((await call("DELETE", "/v1/experiments/role-2")).status).toBe(204);
    for (const [method, path] of [
      ["GET", ""],
      ["POST", ""],
      ["DELETE", "/some"],
    ] as const) {
      const response = await call(
        method,
        `/v1/api-keys${path}`,
        method === "POST" ? { name: "a", role: "write" } : undefined,
      );
      expect(response.status).toBe(403);
    }
  });
});

describe("a key bound to an environment", () => {
  const ours = experiment("ours", "button");
  const theirs = { ...experiment("theirs", "button"), name: "Theirs" };
  let bound: Awaited<ReturnType<typeof createKey>>;
  beforeAll(async () => {
    bound = await createKey({ role: "write", environment_key: "ours" });
    await worker.call("PUT", "/v1/experiments/bound-ours", ours);
    await worker.call("PUT", "/v1/experiments/bound-theirs", theirs);
  });

  it("reads and changes the experiments of its environment", async () => {
    for (const path of ["bound-ours", "bound-ours/exposures"])
      expect((await bound.call("GET", `/v1/experiments/${path}`)).status).toBe(200);
    expect((await bound.call("PUT", "/v1/experiments/bound-ours", { ...ours, name: "New" })).json.name).toBe("New");
    expect((await bound.call("POST", "/v1/experiments/bound-ours/exposures/refresh")).status).toBe(202);
    expect((await bound.call("PUT", "/v1/experiments/bound-new", experiment("ours", "new"))).status).toBe(201);
    expect((await bound.call("DELETE", "/v1/experiments/bound-new")).status).toBe(204);
  });

  it("gets the same 404 for other experiments as for unknown ones", async () => {
    const before = (await worker.call("GET", "/v1/experiments/bound-theirs")).text;
    const requests = [
      ["GET", "", undefined],
      ["GET", "/exposures", undefined],
      ["POST", "/exposures/refresh", undefined],
      ["DELETE", "", undefined],
      ["PUT", "", { ...ours, feature_name: "other" }],
      ["PUT", "", theirs],
    ] as const;
    for (const [method, path, body] of requests) {
      const response = await bound.call(method, `/v1/experiments/bound-theirs${path}`, body);
      expect(response.status, `${method} ${path}`).toBe(404);
      if (method === "PUT") continue;
      expect(response.text).toBe((await bound.call(method, `/v1/experiments/nothing-here${path}`)).text);
    }
    expect((await worker.call("GET", "/v1/experiments/bound-theirs")).text).toBe(before);
  });

  it("gets 404 for another environment's exposures while the key is cached", async () => {
    expect((await bound.call("GET", "/v1/experiments/bound-ours/exposures")).status).toBe(200);
    expect((await bound.call("GET", "/v1/experiments/bound-theirs/exposures")).status).toBe(404);
  });

  it("lists only the experiments of its environment, whatever the filter", async () => {
    const idsOf = async (query: string) =>
      (await bound.call("GET", `/v1/experiments${query}`)).json.experiments.map(({ id }: { id: string }) => id);
    for (const query of ["", "?environment_key=ours", "?status=running", "?limit=1"])
      expect(await idsOf(query)).toEqual(["bound-ours"]);
    expect(await idsOf("?environment_key=theirs")).toEqual([]);
    expect((await bound.call("GET", "/v1/experiments?limit=1")).json.next_cursor).toBeNull();
  });

  it("cannot create an experiment in another environment, or move one there", async () => {
    const created = await bound.call("PUT", "/v1/experiments/bound-elsewhere", experiment("theirs", "elsewhere"));
    expect(created.status).toBe(403);
    expect(created.json.detail).toMatch(/bound to another environment/);
    expect((await worker.call("GET", "/v1/experiments/bound-elsewhere")).status).toBe(404);
    const moved = await bound.call("PUT", "/v1/experiments/bound-ours", experiment("theirs", "moved"));
    expect(moved.status).toBe(403);
    expect((await worker.call("GET", "/v1/experiments/bound-ours")).json.environment_key).toBe("ours");
  });

  it("gets 409 for a taken feature only in its own environment", async () => {
    expect((await bound.call("PUT", "/v1/experiments/bound-second", ours)).status).toBe(409);
    expect((await bound.call("PUT", "/v1/experiments/bound-free", experiment("ours", "elsewhere"))).status).toBe(201);
  });

  it("loses access to an experiment that is moved to another environment", async () => {
    await worker.call("PUT", "/v1/experiments/bound-moving", experiment("ours", "moving"));
    expect((await bound.call("GET", "/v1/experiments/bound-moving/exposures")).status).toBe(200);
    await worker.call("PUT", "/v1/experiments/bound-moving", experiment("theirs", "moving"));
    expect((await bound.call("GET", "/v1/experiments/bound-moving/exposures")).status).toBe(404);
  });
});

describe("an API key", () => {
  it("is rejected at once after its deletion", async () => {
    const { id, call } = await createKey({ role: "read" });
    expect((await call("GET", "/v1/experiments")).status).toBe(200);
    expect((await worker.call("DELETE", `/v1/api-keys/${id}`)).status).toBe(204);
    expect((await call("GET", "/v1/experiments")).status).toBe(401);
    expect((await worker.call("DELETE", `/v1/api-keys/${id}`)).status).toBe(404);
  });

  it("is rejected from expires_at on", async () => {
    const { call } = await createKey({ role: "read", expires_at: fromNow(1500) });
    expect((await call("GET", "/v1/experiments")).status).toBe(200);
    const rejected = await until(
      () => call("GET", "/v1/experiments"),
      ({ status }) => status !== 200,
    );
    expect(rejected.status).toBe(401);
    expect(rejected.json.detail).toMatch(/expired/);
  });

  it("does not replace the configured tokens", async () => {
    const response = await worker.call("GET", "/v1/experiments", undefined, { Authorization: `Bearer ${READER}` });
    expect(response.status).toBe(200);
  });
});

it("logs the id of the key behind each change, and never the key itself", async () => {
  worker.clearLines();
  const { id, key, call } = await createKey({ role: "write", environment_key: "logged" });
  await call("PUT", "/v1/experiments/logged", experiment("logged", "logged"));
  await call("DELETE", "/v1/experiments/logged");
  await worker.call("DELETE", `/v1/api-keys/${id}`);
  const logs = await until(worker.logs, (lines) => lines.some(({ event }) => event === "api_key.revoked"));
  for (const line of [
    { event: "api_key.created", api_key_id: id, role: "write", environment_key: "logged" },
    { event: "experiment.saved", experiment_id: "logged", by: id },
    { event: "experiment.deleted", experiment_id: "logged", by: id },
    { event: "api_key.revoked", api_key_id: id },
  ])
    expect(logs).toContainEqual(expect.objectContaining(line));
  expect(worker.lines().join()).not.toContain(key);
});
