import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, FLAGSMITH_SECRET, READER, startWorker, type TestWorker, until } from "../support/worker.ts";

const ORIGIN = "https://app.example";

let worker: TestWorker;
beforeAll(async () => {
  const { settings } = await createWarehouse();
  worker = await startWorker(settings, {
    CLIENT_ADDRESS_HEADER: "X-Real-IP",
    CORS_ORIGINS: `${ORIGIN}, https://other.example`,
  });
});
afterAll(() => worker.stop());

describe("the limit on failed attempts", () => {
  const requestWithToken = (token: string, address: string) =>
    worker.call("GET", "/v1/experiments", undefined, { Authorization: `Bearer ${token}`, "X-Real-IP": address });
  const sendSigned = (key: string, address: string) => {
    const body = JSON.stringify({ event_type: "OTHER" });
    const signature = createHmac("sha256", key).update(body).digest("hex");
    const headers = { "X-Flagsmith-Signature": signature, "X-Real-IP": address };
    return worker.call("POST", "/webhooks/flagsmith/env", body, { ...headers, "Content-Type": "application/json" });
  };

  /** The platform counts per calendar minute. Attempts that span two minutes may reach twice the limit. */
  async function failUntilBlocked(attempt: () => ReturnType<typeof requestWithToken>) {
    for (let failures = 0; failures < 250; failures += 1) {
      const response = await attempt();
      if (response.status !== 401) return { response, failures };
    }
    throw new Error("never blocked");
  }

  it("answers 429 to an address with too many invalid tokens, but not to others or cached tokens", async () => {
    const { response, failures } = await failUntilBlocked(() => requestWithToken("wrong", "192.0.2.1"));
    expect(failures).toBeGreaterThanOrEqual(100);
    expect(response.status).toBe(429);
    expect(response.headers.get("Retry-After")).toBe("60");
    expect(response.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
    expect((await requestWithToken("wrong", "192.0.2.2")).status).toBe(401);
    expect((await requestWithToken(ADMIN, "192.0.2.2")).status).toBe(200);
    expect((await requestWithToken(ADMIN, "192.0.2.1")).status, "a cached token").toBe(200);
    const blocked = {
      request_id: expect.any(String),
      event: "address.blocked",
      what: "sign_in",
      address: "192.0.2.1",
      seconds: 60,
      level: "warn",
    };
    await until(worker.logs, (logs) => logs.some(({ event }) => event === "address.blocked"));
    expect(worker.logs().filter(({ event }) => event === "address.blocked")).toEqual([blocked]);
  });

  it("answers 429 to an address with too many invalid signatures, but accepts a valid one", async () => {
    const { response } = await failUntilBlocked(() => sendSigned("wrong", "192.0.2.3"));
    expect(response.status).toBe(429);
    expect(response.headers.get("Retry-After")).toBe("60");
    expect((await sendSigned(FLAGSMITH_SECRET, "192.0.2.3")).status).toBe(202);
    expect((await requestWithToken("wrong", "192.0.2.3")).status, "tokens are counted separately").toBe(401);
  });
});

describe("X-Request-Id", () => {
  const sendRequests = () =>
    Promise.all([
      worker.call("GET", "/healthz"),
      worker.call("GET", "/v1/experiments"),
      worker.call("GET", "/nothing-here"),
      worker.call("PATCH", "/v1/experiments"),
      worker.call("PUT", "/v1/experiments/bad", "{"),
      worker.call("GET", "/v1/experiments", undefined, { Authorization: "" }),
      worker.call("DELETE", "/v1/experiments/none"),
    ]);

  it("is unique on every response", async () => {
    const ids = (await sendRequests()).map(({ headers }) => headers.get("X-Request-Id"));
    for (const id of ids) expect(id).toMatch(/^[\w-]{36}$/);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("repeats the client's id if it is valid, and replaces it otherwise", async () => {
    const idFor = async (id: string) =>
      (await worker.call("GET", "/healthz", undefined, { "X-Request-Id": id })).headers.get("X-Request-Id");
    expect(await idFor("trace-1_2=")).toBe("trace-1_2=");
    for (const invalid of ['a"b', "a b", "<script>", "{}", "x".repeat(256)])
      expect(await idFor(invalid)).toMatch(/^[\w-]{36}$/);
  });

  it("is on the log lines of the request", async () => {
    const body = { environment_key: "env", feature_name: "traced" };
    await worker.call("PUT", "/v1/experiments/traced", body, { "X-Request-Id": "put-1" });
    const line = { event: "experiment.saved", experiment_id: "traced", request_id: "put-1" };
    await until(worker.logs, (logs) => logs.some(({ request_id }) => request_id === "put-1"));
    expect(worker.logs()).toContainEqual(expect.objectContaining(line));
  });
});

describe("CORS", () => {
  const sendFrom = (origin: string, method: string, path: string, headers: Record<string, string> = {}) =>
    worker.call(method, path, undefined, { Origin: origin, ...headers });
  const preflight = (origin: string, method: string) =>
    sendFrom(origin, "OPTIONS", "/v1/experiments/some/exposures", {
      Authorization: "",
      "Access-Control-Request-Method": method,
      "Access-Control-Request-Headers": "authorization",
    });
  const ALLOW_ORIGIN = "Access-Control-Allow-Origin";

  it("allows a listed origin to read", async () => {
    for (const origin of [ORIGIN, "https://other.example"]) {
      const response = await sendFrom(origin, "GET", "/v1/experiments");
      expect(response.headers.get(ALLOW_ORIGIN)).toBe(origin);
      expect(response.headers.get("Vary")).toMatch(/\bOrigin\b/);
      expect(response.headers.get("Access-Control-Expose-Headers")).toMatch(/ETag.*Retry-After.*X-Request-Id/);
      expect(response.headers.has("Access-Control-Allow-Credentials")).toBe(false);
      const preflighted = await preflight(origin, "GET");
      expect(preflighted.status).toBe(204);
      expect(preflighted.headers.get(ALLOW_ORIGIN)).toBe(origin);
      expect(preflighted.headers.get("Access-Control-Allow-Methods")?.split(",").sort()).toEqual(["GET", "HEAD"]);
      expect(preflighted.headers.get("Access-Control-Allow-Headers")).toMatch(/Authorization/);
    }
  });

  it("allows a listed origin to read why a request was rejected", async () => {
    const response = await sendFrom(ORIGIN, "GET", "/v1/experiments", { Authorization: "" });
    expect(response.status).toBe(401);
    expect(response.headers.get(ALLOW_ORIGIN)).toBe(ORIGIN);
  });

  it.each(["https://evil.example", "https://app.example.evil.example", "http://app.example", `${ORIGIN}:444`, "null"])(
    "denies the origin %s",
    async (origin) => {
      expect((await sendFrom(origin, "GET", "/v1/experiments")).headers.has(ALLOW_ORIGIN)).toBe(false);
      expect((await preflight(origin, "GET")).headers.has(ALLOW_ORIGIN)).toBe(false);
    },
  );

  it("does not allow writes", async () => {
    for (const method of ["PUT", "POST", "DELETE"]) {
      expect((await preflight(ORIGIN, method)).headers.get("Access-Control-Allow-Methods")).not.toContain(method);
      expect((await sendFrom(ORIGIN, method, "/v1/experiments/some")).headers.has(ALLOW_ORIGIN)).toBe(false);
    }
  });

  it("keeps the other fields of Vary", async () => {
    const body = { environment_key: "env", feature_name: "vary" };
    await worker.call("PUT", "/v1/experiments/vary", body);
    const { headers } = await sendFrom(ORIGIN, "GET", "/v1/experiments/vary/exposures", {
      Authorization: `Bearer ${READER}`,
    });
    expect(headers.get("Vary")).toMatch(/Authorization/);
    expect(headers.get("Vary")).toMatch(/Origin/);
  });

  it("allows nothing if CORS_ORIGINS is not set", async () => {
    const withoutCors = await startWorker((await createWarehouse()).settings);
    const headers = { Origin: ORIGIN, "Access-Control-Request-Method": "GET" };
    expect((await withoutCors.call("GET", "/v1/experiments", undefined, headers)).headers.has(ALLOW_ORIGIN)).toBe(
      false,
    );
    expect((await withoutCors.call("OPTIONS", "/v1/experiments", undefined, headers)).status).toBe(405);
    await withoutCors.stop();
  });
});
