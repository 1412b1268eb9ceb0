import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, FLAGSMITH_SECRET, READER, startWorker, type TestWorker, until } from "../support/worker.ts";

const PAGE = "https://app.example";

let worker: TestWorker;
beforeAll(async () => {
  const { settings } = await createWarehouse();
  worker = await startWorker(settings, {
    CLIENT_ADDRESS_HEADER: "X-Real-IP",
    CORS_ORIGINS: `${PAGE}, https://other.example`,
  });
});
afterAll(() => worker.stop());

describe("an address that fails too often", () => {
  const signIn = (token: string, address: string) =>
    worker.call("GET", "/v1/experiments", undefined, { Authorization: `Bearer ${token}`, "X-Real-IP": address });
  const sign = (key: string, address: string) => {
    const body = JSON.stringify({ event_type: "OTHER" });
    const signature = createHmac("sha256", key).update(body).digest("hex");
    const headers = { "X-Flagsmith-Signature": signature, "X-Real-IP": address };
    return worker.call("POST", "/webhooks/flagsmith/env", body, { ...headers, "Content-Type": "application/json" });
  };

  /** The platform counts by the minute, so a minute's end may lie between. */
  async function failUntilRefused(attempt: () => ReturnType<typeof signIn>) {
    for (let failures = 0; failures < 250; failures += 1) {
      const answer = await attempt();
      if (answer.status !== 401) return { answer, failures };
    }
    throw new Error("never refused");
  }

  it("with tokens is answered 429, and others are not", async () => {
    const { answer, failures } = await failUntilRefused(() => signIn("wrong", "192.0.2.1"));
    expect(failures).toBeGreaterThanOrEqual(100);
    expect(answer.status).toBe(429);
    expect(answer.headers.get("Retry-After")).toBe("60");
    expect(answer.headers.get("Content-Type")).toMatch(/^application\/problem\+json\b/);
    expect((await signIn("wrong", "192.0.2.2")).status).toBe(401);
    expect((await signIn(ADMIN, "192.0.2.2")).status).toBe(200);
    expect((await signIn(ADMIN, "192.0.2.1")).status, "who was in before").toBe(200);
    const shutOut = {
      request_id: expect.any(String),
      event: "address.blocked",
      what: "sign_in",
      address: "192.0.2.1",
      seconds: 60,
      level: "warn",
    };
    await until(worker.logs, (logs) => logs.some(({ event }) => event === "address.blocked"));
    expect(worker.logs().filter(({ event }) => event === "address.blocked")).toEqual([shutOut]);
  });

  it("with signatures is answered 429, but a good one is still taken", async () => {
    const { answer } = await failUntilRefused(() => sign("wrong", "192.0.2.3"));
    expect(answer.status).toBe(429);
    expect(answer.headers.get("Retry-After")).toBe("60");
    expect((await sign(FLAGSMITH_SECRET, "192.0.2.3")).status).toBe(202);
    expect((await signIn("wrong", "192.0.2.3")).status, "its sign-ins count by themselves").toBe(401);
  });
});

describe("a request's id", () => {
  const answersOf = () =>
    Promise.all([
      worker.call("GET", "/healthz"),
      worker.call("GET", "/v1/experiments"),
      worker.call("GET", "/nothing-here"),
      worker.call("PATCH", "/v1/experiments"),
      worker.call("PUT", "/v1/experiments/bad", "{"),
      worker.call("GET", "/v1/experiments", undefined, { Authorization: "" }),
      worker.call("DELETE", "/v1/experiments/none"),
    ]);

  it("is on every answer, and on each another", async () => {
    const ids = (await answersOf()).map(({ headers }) => headers.get("X-Request-Id"));
    for (const id of ids) expect(id).toMatch(/^[\w-]{36}$/);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("is the caller's own if it is one", async () => {
    const idFor = async (id: string) =>
      (await worker.call("GET", "/healthz", undefined, { "X-Request-Id": id })).headers.get("X-Request-Id");
    expect(await idFor("trace-1_2=")).toBe("trace-1_2=");
    for (const odd of ['a"b', "a b", "<script>", "{}", "x".repeat(256)])
      expect(await idFor(odd)).toMatch(/^[\w-]{36}$/);
  });

  it("is on the lines of the log that the request has caused", async () => {
    const body = { environment_key: "env", feature_name: "traced" };
    await worker.call("PUT", "/v1/experiments/traced", body, { "X-Request-Id": "put-1" });
    const line = { event: "experiment.saved", experiment_id: "traced", request_id: "put-1" };
    await until(worker.logs, (logs) => logs.some(({ request_id }) => request_id === "put-1"));
    expect(worker.logs()).toContainEqual(expect.objectContaining(line));
  });
});

describe("a page of another origin", () => {
  const from = (origin: string, method: string, path: string, headers: Record<string, string> = {}) =>
    worker.call(method, path, undefined, { Origin: origin, ...headers });
  const preflight = (origin: string, method: string) =>
    from(origin, "OPTIONS", "/v1/experiments/some/exposures", {
      Authorization: "",
      "Access-Control-Request-Method": method,
      "Access-Control-Request-Headers": "authorization",
    });
  const allowed = "Access-Control-Allow-Origin";

  it("may read if its origin is listed", async () => {
    for (const origin of [PAGE, "https://other.example"]) {
      const answer = await from(origin, "GET", "/v1/experiments");
      expect(answer.headers.get(allowed)).toBe(origin);
      expect(answer.headers.get("Vary")).toMatch(/\bOrigin\b/);
      expect(answer.headers.get("Access-Control-Expose-Headers")).toMatch(/ETag.*Retry-After.*X-Request-Id/);
      expect(answer.headers.has("Access-Control-Allow-Credentials")).toBe(false);
      const asked = await preflight(origin, "GET");
      expect(asked.status).toBe(204);
      expect(asked.headers.get(allowed)).toBe(origin);
      expect(asked.headers.get("Access-Control-Allow-Methods")?.split(",").sort()).toEqual(["GET", "HEAD"]);
      expect(asked.headers.get("Access-Control-Allow-Headers")).toMatch(/Authorization/);
    }
  });

  it("may see why it was refused", async () => {
    const answer = await from(PAGE, "GET", "/v1/experiments", { Authorization: "" });
    expect(answer.status).toBe(401);
    expect(answer.headers.get(allowed)).toBe(PAGE);
  });

  it.each(["https://evil.example", "https://app.example.evil.example", "http://app.example", `${PAGE}:444`, "null"])(
    "may not if it is %s",
    async (origin) => {
      expect((await from(origin, "GET", "/v1/experiments")).headers.has(allowed)).toBe(false);
      expect((await preflight(origin, "GET")).headers.has(allowed)).toBe(false);
    },
  );

  it("may not write", async () => {
    for (const method of ["PUT", "POST", "DELETE"]) {
      expect((await preflight(PAGE, method)).headers.get("Access-Control-Allow-Methods")).not.toContain(method);
      expect((await from(PAGE, method, "/v1/experiments/some")).headers.has(allowed)).toBe(false);
    }
  });

  it("does not lose the rest of Vary", async () => {
    const body = { environment_key: "env", feature_name: "vary" };
    await worker.call("PUT", "/v1/experiments/vary", body);
    const { headers } = await from(PAGE, "GET", "/v1/experiments/vary/exposures", {
      Authorization: `Bearer ${READER}`,
    });
    expect(headers.get("Vary")).toMatch(/Authorization/);
    expect(headers.get("Vary")).toMatch(/Origin/);
  });

  it("may do nothing at all where CORS_ORIGINS is not set", async () => {
    const closed = await startWorker((await createWarehouse()).settings);
    const headers = { Origin: PAGE, "Access-Control-Request-Method": "GET" };
    expect((await closed.call("GET", "/v1/experiments", undefined, headers)).headers.has(allowed)).toBe(false);
    expect((await closed.call("OPTIONS", "/v1/experiments", undefined, headers)).status).toBe(405);
    await closed.stop();
  });
});
