import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import openapi from "../../src/http/openapi.json" with { type: "json" };
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
type Route = { method: string; path: string; right: Right; status: number; body?: unknown };

const started = {
  environment_key: "env",
  feature_name: "kept",
  started_at: new Date(Date.now() - 3_600_000).toISOString(),
};
const deletable = { environment_key: "env", feature_name: "deletable" };

/** Every route, with its status for an authorized caller. A webhook needs a signature, so it rejects every token. */
const routes: Route[] = [
  { method: "GET", path: "/healthz", right: "anyone", status: 200 },
  { method: "GET", path: "/readyz", right: "anyone", status: 200 },
  { method: "GET", path: "/openapi.json", right: "anyone", status: 200 },
  { method: "GET", path: "/docs", right: "anyone", status: 200 },
  { method: "GET", path: "/v1/experiments", right: "read", status: 200 },
  { method: "GET", path: "/v1/experiments/kept", right: "read", status: 200 },
  { method: "GET", path: "/v1/experiments/kept/exposures", right: "read", status: 200 },
  { method: "GET", path: "/v1/experiments/kept/exposures.svg", right: "read", status: 200 },
  { method: "GET", path: "/v1/experiments/kept/exposures.csv", right: "read", status: 200 },
  { method: "GET", path: "/v1/experiments/kept/causes.csv", right: "read", status: 200 },
  { method: "GET", path: "/v1/experiments/kept/results", right: "read", status: 200 },
  { method: "GET", path: "/v1/experiments/kept/results.svg", right: "read", status: 200 },
  { method: "GET", path: "/v1/experiments/kept/results.csv", right: "read", status: 200 },
  { method: "PUT", path: "/v1/experiments/kept", right: "write", status: 200, body: started },
  { method: "DELETE", path: "/v1/experiments/deletable", right: "write", status: 204 },
  { method: "POST", path: "/v1/experiments/kept/exposures/refresh", right: "write", status: 202 },
  { method: "POST", path: "/v1/experiments/kept/exposures/recount", right: "write", status: 409 },
  { method: "POST", path: "/v1/experiments/kept/exposures/rebuild", right: "write", status: 409 },
  { method: "GET", path: "/v1/status", right: "write", status: 200 },
  { method: "GET", path: "/v1/warehouse/check", right: "write", status: 200 },
  { method: "GET", path: "/v1/flagsmith/check", right: "write", status: 409 },
  { method: "GET", path: "/v1/warehouse/features", right: "write", status: 200 },
  { method: "GET", path: "/v1/warehouse/events?environment_key=env", right: "write", status: 200 },
  { method: "GET", path: "/v1/api-keys", right: "admin", status: 200 },
  { method: "POST", path: "/v1/api-keys", right: "admin", status: 201, body: { name: "CI", role: "read" } },
  { method: "POST", path: "/v1/alerts/test", right: "admin", status: 409 },
  { method: "GET", path: "/v1/export", right: "admin", status: 200 },
  { method: "POST", path: "/v1/import", right: "admin", status: 415, body: {} },
  { method: "DELETE", path: "/v1/api-keys/nothing-here", right: "admin", status: 404 },
  { method: "POST", path: "/webhooks/refresh", right: "signature", status: 202, body: { environment_key: "env" } },
  { method: "POST", path: "/webhooks/flagsmith/env", right: "signature", status: 202, body: { event_type: "X" } },
];

it("is tested for every documented operation", () => {
  const documented = Object.entries(openapi.paths).flatMap(([path, operations]) =>
    Object.keys(operations)
      .filter((name) => ["get", "put", "post", "delete"].includes(name))
      .map((method) => `${method.toUpperCase()} ${path}`),
  );
  const templates = documented.map((operation) => new RegExp(`^${operation.replaceAll(/\{\w+\}/g, "[^/]+")}$`));
  const tested = routes.map(({ method, path }) => `${method} ${path.replace(/\?.*/, "")}`);
  expect(documented.filter((_, index) => !tested.some((route) => templates[index]?.test(route)))).toEqual([]);
});

const callers = [
  { credential: "no token", authorization: "" },
  { credential: "a wrong token", authorization: "Bearer wrong-token" },
  { credential: "the read token", authorization: `Bearer ${READER}` },
  { credential: "the admin token", authorization: `Bearer ${ADMIN}` },
  { credential: "a read key", authorization: "read" },
  { credential: "a write key", authorization: "write" },
] as const;
const unauthenticated: readonly CredentialName[] = ["no token", "a wrong token"];
const writers: readonly CredentialName[] = ["the admin token", "a write key"];
type CredentialName = (typeof callers)[number]["credential"];

function expectedStatus({ right, status }: Route, credential: CredentialName, publicRead: boolean): number {
  switch (right) {
    case "anyone":
      return status;
    case "signature":
      return 401;
    case "read":
      return publicRead || !unauthenticated.includes(credential) ? status : 401;
    case "write":
      return unauthenticated.includes(credential) ? 401 : writers.includes(credential) ? status : 403;
    case "admin":
      return unauthenticated.includes(credential) ? 401 : credential === "the admin token" ? status : 403;
  }
}

async function startWithExperiments(vars: Record<string, string | number | boolean> = {}) {
  const worker = await startWorker(warehouse.settings, vars);
  await worker.call("PUT", "/v1/experiments/kept", started);
  await worker.call("PUT", "/v1/experiments/deletable", deletable);
  return worker;
}

describe.each([
  { name: "tokens", vars: {}, publicRead: false },
  { name: "PUBLIC_READ", vars: { PUBLIC_READ: true }, publicRead: true },
])("access control with $name", ({ vars, publicRead }) => {
  let worker: TestWorker;
  const keys = new Map<string, string>();
  beforeAll(async () => {
    worker = await startWithExperiments({ ...vars, REFRESH_MIN_INTERVAL_SECONDS: 0 });
    for (const role of ["read", "write"])
      keys.set(role, (await worker.call("POST", "/v1/api-keys", { name: role, role })).json.key);
  });
  afterAll(() => worker.stop());

  const cases = routes.flatMap((route) =>
    callers.map((caller) => ({ ...route, ...caller, status: expectedStatus(route, caller.credential, publicRead) })),
  );
  it.each(cases)("answers $status to $method $path with $credential", async (testCase) => {
    const { method, path, body, authorization, status } = testCase;
    const key = keys.get(authorization);
    const headers = { Authorization: key === undefined ? authorization : `Bearer ${key}` };
    if (method === "DELETE") await worker.call("PUT", "/v1/experiments/deletable", deletable);
    const response = await worker.call(method, path, body, headers);
    expect(response.status).toBe(status);
    expect(response.headers.has("WWW-Authenticate")).toBe(status === 401);
    if (status < 400) return;
    expect(response.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
    expect(response.json).toMatchObject({ status });
  });
});

describe("the API", () => {
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
  ])("answers 401 to Authorization: %s", async (authorization) => {
    const response = await worker.call("GET", "/v1/experiments", undefined, { Authorization: authorization });
    expect(response.status).toBe(401);
    expect(response.headers.get("WWW-Authenticate")).toMatch(/^Bearer\b/);
  });

  it("accepts the scheme Bearer in any case", async () => {
    for (const scheme of ["bearer", "BEARER"]) {
      const response = await worker.call("GET", "/v1/experiments", undefined, { Authorization: `${scheme} ${ADMIN}` });
      expect(response.status).toBe(200);
    }
  });

  it("ignores a token in the URL", async () => {
    const response = await worker.call("GET", `/v1/experiments/kept?access_token=${ADMIN}&token=${ADMIN}`, undefined, {
      Authorization: "",
    });
    expect(response.status).toBe(401);
  });

  it("does not reveal to an unauthenticated client whether an experiment exists", async () => {
    const responses = await Promise.all(
      ["kept", "nothing-here"].map((id) =>
        worker.call("GET", `/v1/experiments/${id}/exposures`, undefined, { Authorization: "" }),
      ),
    );
    expect(responses.map(({ status }) => status)).toEqual([401, 401]);
    expect(responses[0]?.text).toBe(responses[1]?.text);
  });

  const methodsByPath = Map.groupBy(routes, ({ path }) => path.replace("deletable", "kept"));
  it.each([...methodsByPath.keys()])("answers 405 with Allow to other methods on %s", async (path) => {
    const allowed = (methodsByPath.get(path) ?? []).map(({ method }) => method);
    for (const method of ["GET", "PUT", "POST", "DELETE", "PATCH"].filter((other) => !allowed.includes(other))) {
      const response = await worker.call(method, path, method === "GET" ? undefined : {});
      expect(response.status, method).toBe(405);
      expect(response.json).toMatchObject({ status: 405 });
      expect(response.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
      const listed = (response.headers.get("Allow") ?? "").split(/ *, */).filter((name) => name !== "HEAD");
      expect(listed.sort(), method).toEqual(allowed.sort());
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
  ])("answers 404 with a problem to the unknown path %s", async (path) => {
    for (const method of ["GET", "POST"]) {
      const response = await worker.call(method, path);
      expect(response.status).toBe(404);
      expect(response.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
      expect(response.json).toMatchObject({ status: 404, title: expect.any(String), detail: expect.any(String) });
    }
  });

  describe("HEAD", () => {
    it.each(
      routes
        .filter(({ method }) => method === "GET")
        .flatMap(({ path }) => callers.map(({ credential, authorization }) => ({ path, credential, authorization }))),
    )("has the status and headers of GET, without a body: $path with $credential", async ({ path, authorization }) => {
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

    it("has the ETag of exposures, and returns 304 when it matches", async () => {
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

describe("an unset token or secret", () => {
  /** Runs the app in this process, because the Worker of these tests always has its secrets. */
  function appWith(env: Record<string, string>) {
    return createApp(appDeps(env, emptyDatabase));
  }

  const empty = { ADMIN_TOKEN: "", READ_TOKEN: "", WEBHOOK_SECRET: "", FLAGSMITH_WEBHOOK_SECRET: "" };
  const protectedRoutes = routes.filter(({ right }) => right !== "anyone");
  it.each(protectedRoutes)("grants nothing: $method $path", async ({ method, path, body = null }) => {
    const text = JSON.stringify(body);
    const signatures = ["", "null", "undefined"].map((key) => createHmac("sha256", key).update(text).digest("hex"));
    for (const app of [appWith({}), appWith(empty)]) {
      for (const token of ["", "null", "undefined", '""', ADMIN]) {
        for (const signature of signatures) {
          const response = await app.request(
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
          expect(response.status).toBe(401);
          expect(response.headers.has("WWW-Authenticate")).toBe(true);
        }
      }
    }
  });

  it("leaves the other token valid", async () => {
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

  it("never appear in a response or a log line, even on errors", async () => {
    const texts: string[] = [];
    for (const { method, path, body } of routes) {
      for (const authorization of [...callers.map((caller) => caller.authorization), `Bearer ${ADMIN}x`]) {
        for (const payload of [body, "{", { "'; SELECT 1": 1 }]) {
          const { text, headers } = await worker.call(method, path, method === "GET" ? undefined : payload, {
            Authorization: authorization,
            "Content-Type": "application/json",
            "X-Flagsmith-Signature": createHmac("sha256", FLAGSMITH_SECRET).update("{").digest("hex"),
          });
          // The document is public and the same for every request, so it may contain such text.
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
