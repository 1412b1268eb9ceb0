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

async function makeKey(body: object) {
  const answer = await worker.call("POST", "/v1/api-keys", { name: "of the tests", ...body });
  expect(answer.status).toBe(201);
  const key: string = answer.json.key;
  const as = (method: string, path: string, sent?: unknown) =>
    worker.call(method, path, sent, { Authorization: `Bearer ${key}` });
  return { ...answer.json, key, as };
}

const experiment = (environment_key: string, feature_name: string) => ({
  environment_key,
  feature_name,
  started_at: fromNow(-HOUR),
});

describe("making an API key", () => {
  it("answers what was asked for, and the key", async () => {
    const expires_at = fromNow(HOUR);
    const body = { name: "CI of Ann", environment_key: "env", role: "write", expires_at };
    const answer = await worker.call("POST", "/v1/api-keys", body);
    expect(answer.status).toBe(201);
    expect(answer.json).toEqual({
      ...body,
      id: expect.stringMatching(/^[0-9a-f]{16}$/),
      created_at: expect.stringMatching(/Z$/),
      key: expect.stringMatching(/^ee_[0-9a-f]{72}$/),
    });
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
  });

  it("makes it for every environment and for ever if it is not told otherwise", async () => {
    expect(await makeKey({ role: "read" })).toMatchObject({ environment_key: null, expires_at: null });
  });

  it("shows the key this once: the list has all but it", async () => {
    const { key, as: _, ...entry } = await makeKey({ name: "once", role: "read", environment_key: "env" });
    const { json, text } = await worker.call("GET", "/v1/api-keys?limit=200");
    expect(json.api_keys).toContainEqual(entry);
    expect(text).not.toContain(key);
    expect(worker.lines().join()).not.toContain(key);
  });

  it("gives it an id that whoever finds the key can tell", async () => {
    const { id, key } = await makeKey({ role: "read" });
    expect(createHash("sha256").update(key).digest("hex").slice(0, 16)).toBe(id);
  });

  it("never makes the same twice", async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => makeKey({ role: "read" })));
    expect(new Set(keys.map(({ key }) => key)).size).toBe(20);
  });

  it.each([
    { wrong: "a role that there is not", path: "role", body: { name: "a", role: "admin" } },
    { wrong: "no role", path: "role", body: { name: "a" } },
    { wrong: "no name", path: "name", body: { role: "read" } },
    { wrong: "an empty environment", path: "environment_key", body: { name: "a", role: "read", environment_key: "" } },
    { wrong: "an end in the past", path: "expires_at", body: { name: "a", role: "read", expires_at: fromNow(-1000) } },
    { wrong: "an unknown field", path: "rights", body: { name: "a", role: "read", rights: [] } },
  ])("refuses $wrong", async ({ path, body }) => {
    const answer = await worker.call("POST", "/v1/api-keys", body);
    expect(answer.status).toBe(400);
    expect(answer.json.errors).toEqual([{ path, message: expect.stringMatching(/./) }]);
  });
});

describe("the list of API keys", () => {
  it("comes in pages that hold each key once", async () => {
    for (let made = 0; made < 3; made += 1) await makeKey({ role: "read" });
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

describe("a key that is not one", () => {
  const detailFor = async (key: string) => {
    const answer = await worker.call("GET", "/v1/experiments", undefined, { Authorization: `Bearer ${key}` });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("WWW-Authenticate")).toBe('Bearer error="invalid_token"');
    return answer.json.detail;
  };

  it("is told from a typo by its checksum", async () => {
    const { id, key } = await makeKey({ role: "read" });
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
    expect(await detailFor(key)).toMatch(/not known here, or has been revoked/);
  });

  it("may look as it likes", async () => {
    expect(await detailFor("eee_1")).toMatch(/not known/);
    expect(await detailFor("EE_1")).toMatch(/not known/);
  });
});

describe("a key's role", () => {
  it("read reads, and no more", async () => {
    await worker.call("PUT", "/v1/experiments/role", experiment("role", "role"));
    const { as } = await makeKey({ role: "read" });
    for (const path of ["", "/role", "/role/exposures"])
      expect((await as("GET", `/v1/experiments${path}`)).status).toBe(200);
    expect((await as("PUT", "/v1/experiments/role", experiment("role", "role"))).status).toBe(403);
    expect((await as("DELETE", "/v1/experiments/role")).status).toBe(403);
    expect((await as("POST", "/v1/experiments/role/exposures/refresh")).status).toBe(403);
  });

  it("write also writes, but makes no keys", async () => {
    const { as } = await makeKey({ role: "write" });
    expect((await as("PUT", "/v1/experiments/role-2", experiment("role", "role-2"))).status).toBe(201);
    expect((await as("POST", "/v1/experiments/role-2/exposures/refresh")).status).toBe(202);
    expect((await as("GET", "/v1/warehouse/check")).status).toBe(200);
    expect((await as("DELETE", "/v1/experiments/role-2")).status).toBe(204);
    for (const [method, path] of [
      ["GET", ""],
      ["POST", ""],
      ["DELETE", "/some"],
    ] as const) {
      const answer = await as(
        method,
        `/v1/api-keys${path}`,
        method === "POST" ? { name: "a", role: "write" } : undefined,
      );
      expect(answer.status).toBe(403);
    }
  });
});

describe("a key that is bound to an environment", () => {
  const ours = experiment("ours", "button");
  const theirs = { ...experiment("theirs", "button"), name: "Theirs" };
  let bound: Awaited<ReturnType<typeof makeKey>>;
  beforeAll(async () => {
    bound = await makeKey({ role: "write", environment_key: "ours" });
    await worker.call("PUT", "/v1/experiments/bound-ours", ours);
    await worker.call("PUT", "/v1/experiments/bound-theirs", theirs);
  });

  it("sees its experiments, and changes them", async () => {
    for (const path of ["bound-ours", "bound-ours/exposures"])
      expect((await bound.as("GET", `/v1/experiments/${path}`)).status).toBe(200);
    expect((await bound.as("PUT", "/v1/experiments/bound-ours", { ...ours, name: "New" })).json.name).toBe("New");
    expect((await bound.as("POST", "/v1/experiments/bound-ours/exposures/refresh")).status).toBe(202);
    expect((await bound.as("PUT", "/v1/experiments/bound-new", experiment("ours", "new"))).status).toBe(201);
    expect((await bound.as("DELETE", "/v1/experiments/bound-new")).status).toBe(204);
  });

  it("gets 404 for all others, as for those that there are not", async () => {
    const before = (await worker.call("GET", "/v1/experiments/bound-theirs")).text;
    const calls = [
      ["GET", "", undefined],
      ["GET", "/exposures", undefined],
      ["POST", "/exposures/refresh", undefined],
      ["DELETE", "", undefined],
      ["PUT", "", { ...ours, feature_name: "other" }],
      ["PUT", "", theirs],
    ] as const;
    for (const [method, path, body] of calls) {
      const answer = await bound.as(method, `/v1/experiments/bound-theirs${path}`, body);
      expect(answer.status, `${method} ${path}`).toBe(404);
      if (method === "PUT") continue;
      expect(answer.text).toBe((await bound.as(method, `/v1/experiments/nothing-here${path}`)).text);
    }
    expect((await worker.call("GET", "/v1/experiments/bound-theirs")).text).toBe(before);
  });

  it("gets 404 for another's exposures also while the key is remembered", async () => {
    expect((await bound.as("GET", "/v1/experiments/bound-ours/exposures")).status).toBe(200);
    expect((await bound.as("GET", "/v1/experiments/bound-theirs/exposures")).status).toBe(404);
  });

  it("leaves the others out of its lists, whatever it filters by", async () => {
    const idsOf = async (query: string) =>
      (await bound.as("GET", `/v1/experiments${query}`)).json.experiments.map(({ id }: { id: string }) => id);
    for (const query of ["", "?environment_key=ours", "?status=running", "?limit=1"])
      expect(await idsOf(query)).toEqual(["bound-ours"]);
    expect(await idsOf("?environment_key=theirs")).toEqual([]);
    expect((await bound.as("GET", "/v1/experiments?limit=1")).json.next_cursor).toBeNull();
  });

  it("can neither create in another environment nor move to one", async () => {
    const created = await bound.as("PUT", "/v1/experiments/bound-elsewhere", experiment("theirs", "elsewhere"));
    expect(created.status).toBe(403);
    expect(created.json.detail).toMatch(/bound to another environment/);
    expect((await worker.call("GET", "/v1/experiments/bound-elsewhere")).status).toBe(404);
    const moved = await bound.as("PUT", "/v1/experiments/bound-ours", experiment("theirs", "moved"));
    expect(moved.status).toBe(403);
    expect((await worker.call("GET", "/v1/experiments/bound-ours")).json.environment_key).toBe("ours");
  });

  it("is told of a feature that is taken in its own environment only", async () => {
    expect((await bound.as("PUT", "/v1/experiments/bound-second", ours)).status).toBe(409);
    expect((await bound.as("PUT", "/v1/experiments/bound-free", experiment("ours", "elsewhere"))).status).toBe(201);
  });

  it("loses sight of an experiment that the admin moves away", async () => {
    await worker.call("PUT", "/v1/experiments/bound-moving", experiment("ours", "moving"));
    expect((await bound.as("GET", "/v1/experiments/bound-moving/exposures")).status).toBe(200);
    await worker.call("PUT", "/v1/experiments/bound-moving", experiment("theirs", "moving"));
    expect((await bound.as("GET", "/v1/experiments/bound-moving/exposures")).status).toBe(404);
  });
});

describe("the end of a key", () => {
  it("comes at once with its deletion", async () => {
    const { id, as } = await makeKey({ role: "read" });
    expect((await as("GET", "/v1/experiments")).status).toBe(200);
    expect((await worker.call("DELETE", `/v1/api-keys/${id}`)).status).toBe(204);
    expect((await as("GET", "/v1/experiments")).status).toBe(401);
    expect((await worker.call("DELETE", `/v1/api-keys/${id}`)).status).toBe(404);
  });

  it("comes by itself at expires_at", async () => {
    const { as } = await makeKey({ role: "read", expires_at: fromNow(1500) });
    expect((await as("GET", "/v1/experiments")).status).toBe(200);
    const refused = await until(
      () => as("GET", "/v1/experiments"),
      ({ status }) => status !== 200,
    );
    expect(refused.status).toBe(401);
    expect(refused.json.detail).toMatch(/expired/);
  });

  it("leaves the tokens of the settings as they are", async () => {
    const answer = await worker.call("GET", "/v1/experiments", undefined, { Authorization: `Bearer ${READER}` });
    expect(answer.status).toBe(200);
  });
});

it("the log names who made and revoked a key and who saved and deleted an experiment, and no key", async () => {
  worker.clearLines();
  const { id, key, as } = await makeKey({ role: "write", environment_key: "logged" });
  await as("PUT", "/v1/experiments/logged", experiment("logged", "logged"));
  await as("DELETE", "/v1/experiments/logged");
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
