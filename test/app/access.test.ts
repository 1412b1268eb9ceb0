import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { appDeps, emptyDatabase } from "../support/app-deps.ts";
import { users } from "../support/users.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import {
  ADMIN,
  FLAGSMITH_SECRET,
  READER,
  startWorker,
  type TestWorker,
  until,
  WEBHOOK_SECRET,
} from "../support/worker.ts";

let warehouse: TestWarehouse;
beforeAll(async () => {
  warehouse = await createWarehouse();
});

type Right = "anyone" | "read" | "write" | "admin" | "signature";
type Route = { method: string; path: string; right: Right; answer: number; body?: unknown };

const started = {
  environment_key: "env",
  feature_name: "kept",
  started_at: new Date(Date.now() - 3_600_000).toISOString(),
};
const doomed = { environment_key: "env", feature_name: "doomed" };

/** Every call of the HTTP interface, with the answer to who may. A bearer token is no signature, so none may call a webhook. */
const routes: Route[] = [
  { method: "GET", path: "/healthz", right: "anyone", answer: 200 },
  { method: "GET", path: "/openapi.json", right: "anyone", answer: 200 },
  { method: "GET", path: "/docs", right: "anyone", answer: 200 },
  { method: "GET", path: "/v1/experiments", right: "read", answer: 200 },
  { method: "GET", path: "/v1/experiments/kept", right: "read", answer: 200 },
  { method: "GET", path: "/v1/experiments/kept/exposures", right: "read", answer: 200 },
  { method: "GET", path: "/v1/experiments/kept/exposures.svg", right: "read", answer: 200 },
  { method: "GET", path: "/v1/experiments/kept/exposures.csv", right: "read", answer: 200 },
  { method: "PUT", path: "/v1/experiments/kept", right: "write", answer: 200, body: started },
  { method: "DELETE", path: "/v1/experiments/doomed", right: "write", answer: 204 },
  { method: "POST", path: "/v1/experiments/kept/exposures/refresh", right: "write", answer: 202 },
  { method: "POST", path: "/v1/experiments/kept/exposures/rebuild", right: "write", answer: 409 },
  { method: "GET", path: "/v1/warehouse/check", right: "write", answer: 200 },
  { method: "GET", path: "/v1/api-keys", right: "admin", answer: 200 },
  { method: "POST", path: "/v1/api-keys", right: "admin", answer: 201, body: { name: "CI", role: "read" } },
  { method: "GET", path: "/v1/export", right: "admin", answer: 200 },
  { method: "POST", path: "/v1/import", right: "admin", answer: 415, body: {} },
  { method: "DELETE", path: "/v1/api-keys/nothing-here", right: "admin", answer: 404 },
  { method: "POST", path: "/webhooks/refresh", right: "signature", answer: 202, body: { environment_key: "env" } },
  { method: "POST", path: "/webhooks/flagsmith/env", right: "signature", answer: 202, body: { event_type: "X" } },
];

const callers = [
  { who: "no token", authorization: "" },
  { who: "a wrong token", authorization: "Bearer wrong-token" },
  { who: "the read token", authorization: `Bearer ${READER}` },
  { who: "the admin token", authorization: `Bearer ${ADMIN}` },
  { who: "a key that reads", authorization: "read" },
  { who: "a key that writes", authorization: "write" },
] as const;
const strangers: readonly Who[] = ["no token", "a wrong token"];
const writers: readonly Who[] = ["the admin token", "a key that writes"];
type Who = (typeof callers)[number]["who"];

function expectedAnswer({ right, answer }: Route, who: Who, publicRead: boolean): number {
  switch (right) {
    case "anyone":
      return answer;
    case "signature":
      return 401;
    case "read":
      return publicRead || !strangers.includes(who) ? answer : 401;
    case "write":
      return strangers.includes(who) ? 401 : writers.includes(who) ? answer : 403;
    case "admin":
      return strangers.includes(who) ? 401 : who === "the admin token" ? answer : 403;
  }
}

async function startWithExperiments(vars: Record<string, string | number | boolean> = {}) {
  const worker = await startWorker(warehouse.settings, vars);
  await worker.call("PUT", "/v1/experiments/kept", started);
  await worker.call("PUT", "/v1/experiments/doomed", doomed);
  return worker;
}

describe.each([
  { name: "with the tokens set", vars: {}, publicRead: false },
  { name: "with PUBLIC_READ", vars: { PUBLIC_READ: true }, publicRead: true },
])("who may do what, $name", ({ vars, publicRead }) => {
  let worker: TestWorker;
  const keys = new Map<string, string>();
  beforeAll(async () => {
    worker = await startWithExperiments({ ...vars, REFRESH_MIN_INTERVAL_SECONDS: 0 });
    for (const role of ["read", "write"])
      keys.set(role, (await worker.call("POST", "/v1/api-keys", { name: role, role })).json.key);
  });
  afterAll(() => worker.stop());

  const cases = routes.flatMap((route) => callers.map((caller) => ({ ...route, ...caller, route })));
  it.each(cases)("$method $path with $who", async ({ method, path, body, authorization, who, route }) => {
    const key = keys.get(authorization);
    const headers = { Authorization: key === undefined ? authorization : `Bearer ${key}` };
    if (method === "DELETE") await worker.call("PUT", "/v1/experiments/doomed", doomed);
    const answer = await worker.call(method, path, body, headers);
    const status = expectedAnswer(route, who, publicRead);
    expect(answer.status).toBe(status);
    expect(answer.headers.has("WWW-Authenticate")).toBe(status === 401);
    if (status < 400) return;
    expect(answer.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
    expect(answer.json).toMatchObject({ status });
  });
});

describe("the Worker", () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWithExperiments();
  });
  afterAll(() => worker.stop());

  it.each([
    "Bearer",
    "Bearer ",
    "Bearer null",
    "Bearer undefined",
    ADMIN,
    `Token ${ADMIN}`,
    `Basic ${btoa(`admin:${ADMIN}`)}`,
    `Bearer ${ADMIN}x`,
    `Bearer ${ADMIN.slice(0, -1)}`,
    `Bearer ${ADMIN.toUpperCase()}`,
    `Bearer ${ADMIN} ${READER}`,
    `Bearer "${ADMIN}"`,
    "Bearer caf\u00e9",
    `Bearer ${"x".repeat(8000)}`,
  ])("lets nobody in with Authorization: %s", async (authorization) => {
    const answer = await worker.call("GET", "/v1/experiments", undefined, { Authorization: authorization });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("WWW-Authenticate")).toMatch(/^Bearer\b/);
  });

  it("takes the scheme's name in any case", async () => {
    for (const scheme of ["bearer", "BEARER"]) {
      const answer = await worker.call("GET", "/v1/experiments", undefined, { Authorization: `${scheme} ${ADMIN}` });
      expect(answer.status).toBe(200);
    }
  });

  it("takes no token from the URL", async () => {
    const answer = await worker.call("GET", `/v1/experiments/kept?access_token=${ADMIN}&token=${ADMIN}`, undefined, {
      Authorization: "",
    });
    expect(answer.status).toBe(401);
  });

  it("does not tell who may not read whether an experiment exists", async () => {
    const answers = await Promise.all(
      ["kept", "nothing-here"].map((id) =>
        worker.call("GET", `/v1/experiments/${id}/exposures`, undefined, { Authorization: "" }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([401, 401]);
    expect(answers[0]?.text).toBe(answers[1]?.text);
  });

  const methodsByPath = Map.groupBy(routes, ({ path }) => path.replace("doomed", "kept"));
  it.each([...methodsByPath.keys()])("answers other methods on %s with 405 and Allow", async (path) => {
    const allowed = (methodsByPath.get(path) ?? []).map(({ method }) => method);
    for (const method of ["GET", "PUT", "POST", "DELETE", "PATCH"].filter((other) => !allowed.includes(other))) {
      const answer = await worker.call(method, path, method === "GET" ? undefined : {});
      expect(answer.status, method).toBe(405);
      expect(answer.json).toMatchObject({ status: 405 });
      expect(answer.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
      const named = (answer.headers.get("Allow") ?? "").split(/ *, */).filter((name) => name !== "HEAD");
      expect(named.sort(), method).toEqual(allowed.sort());
    }
  });

  it.each([
    "/nothing-here",
    "/v1",
    "/v1/",
    "/v2/experiments",
    "/V1/experiments",
    "/v1/experiments/kept/",
    "/v1/experiments/kept/exposures/",
    "/v1/experiments/kept/exposures/refresh/now",
    "/v1/warehouse",
    "/webhooks",
    "/webhooks/flagsmith",
    "/webhooks/flagsmith/",
    "/openapi.yaml",
    "/wrangler.toml",
    "/.env",
  ])("answers %s, which is nobody's path, with a 404 problem", async (path) => {
    for (const method of ["GET", "POST"]) {
      const answer = await worker.call(method, path);
      expect(answer.status).toBe(404);
      expect(answer.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
      expect(answer.json).toMatchObject({ status: 404, title: expect.any(String), detail: expect.any(String) });
    }
  });

  describe("answers HEAD like GET, without the body", () => {
    it.each(
      routes
        .filter(({ method }) => method === "GET")
        .flatMap(({ path }) => callers.map(({ who, authorization }) => ({ path, who, authorization }))),
    )("$path with $who", async ({ path, authorization }) => {
      const [get, head] = await Promise.all(
        ["GET", "HEAD"].map((method) => worker.fetch(path, { method, headers: { Authorization: authorization } })),
      );
      expect(await head?.text()).toBe("");
      expect(await get?.text()).not.toBe("");
      expect(head?.status).toBe(get?.status);
      for (const name of ["content-type", "cache-control", "vary", "www-authenticate"]) {
        expect(head?.headers.get(name)).toBe(get?.headers.get(name));
      }
    });

    it("with the ETag of exposures, and 304 if it matches", async () => {
      const path = "/v1/experiments/kept/exposures";
      await until(
        () => worker.exposures("kept"),
        ({ refresh_requested_at, exposures }) => refresh_requested_at === null && exposures !== null,
      );
      const etag = (await worker.call("GET", path)).headers.get("ETag") ?? "";
      const headers = { Authorization: `Bearer ${READER}` };
      expect((await worker.fetch(path, { method: "HEAD", headers })).headers.get("ETag")).toBe(etag);
      const matched = await worker.fetch(path, { method: "HEAD", headers: { ...headers, "If-None-Match": etag } });
      expect(matched.status).toBe(304);
    });
  });
});

describe("a token or secret that is not set", () => {
  /** The app in this process: the real Worker of these tests always has its secrets. */
  function appWith(env: Record<string, string>) {
    return createApp(appDeps(env, emptyDatabase));
  }

  const empty = { ADMIN_TOKEN: "", READ_TOKEN: "", WEBHOOK_SECRET: "", FLAGSMITH_WEBHOOK_SECRET: "" };
  const closed = routes.filter(({ right }) => right !== "anyone");
  it.each(closed)("opens nothing: $method $path", async ({ method, path, body = null }) => {
    const text = JSON.stringify(body);
    const signatures = ["", "null", "undefined"].map((key) => createHmac("sha256", key).update(text).digest("hex"));
    for (const app of [appWith({}), appWith(empty)]) {
      for (const token of ["", "null", "undefined", '""', ADMIN]) {
        for (const signature of signatures) {
          const answer = await app.request(
            path,
            {
              method,
              headers: {
                Authorization: `Bearer ${token}`,
                "Content-Type": "application/json",
                "X-Flagsmith-Signature": signature,
                "webhook-id": "1",
                "webhook-timestamp": String(Math.floor(Date.now() / 1000)),
                "webhook-signature": `v1,${signature}`,
              },
              ...(method === "GET" ? {} : { body: text }),
            },
            {},
          );
          expect(answer.status).toBe(401);
          expect(answer.headers.has("WWW-Authenticate")).toBe(true);
        }
      }
    }
  });

  it("does not close what the other one opens", async () => {
    const statusWith = async (env: Record<string, string>, path: string) =>
      (await appWith(env).request(path, { headers: { Authorization: "Bearer one" } }, {})).status;
    expect(await statusWith({ ADMIN_TOKEN: "one" }, "/v1/experiments")).toBe(200);
    expect(await statusWith({ READ_TOKEN: "one" }, "/v1/experiments")).toBe(200);
    expect(await statusWith({ READ_TOKEN: "one" }, "/v1/warehouse/check")).toBe(403);
  });
});

const STACK = /\n +at |\.[jt]s:\d/;
const SQL = /\bSELECT\b[\s\S]*\bFROM\b|\bINSERT INTO\b|\bUPDATE experiments\b|\bFROM experiments\b|\$flag_exposure/;

describe("secrets and SQL", () => {
  const PASSWORD = "wrong password of the tests";
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ ...warehouse.settings, password: PASSWORD });
  });
  afterAll(() => worker.stop());

  it("are in no answer and no line of the log, whatever goes wrong", async () => {
    const texts: string[] = [];
    for (const { method, path, body } of routes) {
      for (const authorization of [...callers.map((caller) => caller.authorization), `Bearer ${ADMIN}x`]) {
        for (const sent of [body, "{", { "'; SELECT 1": 1 }]) {
          const { text, headers } = await worker.call(method, path, method === "GET" ? undefined : sent, {
            Authorization: authorization,
            "Content-Type": "application/json",
            "X-Flagsmith-Signature": createHmac("sha256", FLAGSMITH_SECRET).update("{").digest("hex"),
          });
          // The document is public and the same for all; it may say what it likes.
          if (path !== "/openapi.json") texts.push(text, JSON.stringify([...headers]));
        }
      }
    }
    await until(
      () => worker.exposures("kept"),
      ({ last_error_at }) => last_error_at !== null,
    );
    const check = await worker.call("GET", "/v1/warehouse/check");
    expect(check.status).toBe(502);
    expect(check.json.detail).toMatch(/CLICKHOUSE_PASSWORD/);
    expect(worker.logs()).toContainEqual(expect.objectContaining({ event: "refresh.failed", experiment_id: "kept" }));

    const { host, hostname } = warehouse.settings.url;
    for (const text of [check.text, ...texts]) {
      for (const secret of [host, hostname, users.owner.name]) expect(text).not.toContain(secret);
      expect(text).not.toMatch(STACK);
    }
    const lines = worker.lines();
    for (const text of [check.text, ...texts, ...lines]) {
      for (const secret of [ADMIN, READER, WEBHOOK_SECRET, FLAGSMITH_SECRET, PASSWORD])
        expect(text).not.toContain(secret);
      expect(text).not.toMatch(SQL);
    }
  });
});
