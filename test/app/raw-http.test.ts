import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type RawResponse, sendRaw, startWithoutProxy } from "../support/raw-http.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, until } from "../support/worker.ts";

// Requests that no HTTP client sends, written to a socket byte by byte.

let worker: Awaited<ReturnType<typeof startWithoutProxy>>;
beforeAll(async () => {
  worker = await startWithoutProxy((await createWarehouse()).settings);
});
afterAll(() => worker.stop());

const PUT = "PUT /v1/experiments/raw HTTP/1.1";
const WEBHOOK = "POST /webhooks/refresh HTTP/1.1";
const BODY = '{"environment_key":"raw","feature_name":"raw"}';
const CHUNKED = "Transfer-Encoding: chunked";

function head(requestLine: string, ...headers: string[]): string {
  const authorization = `Authorization: Bearer ${ADMIN}`;
  return [requestLine, "Host: localhost", authorization, "Content-Type: application/json", ...headers, "", ""].join(
    "\r\n",
  );
}
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

const get = (path: string) => sendRaw(worker.url, [head(`GET ${path} HTTP/1.1`)]);

/** Expects that the server still works, has stored nothing and has logged nothing. */
async function expectUnharmed() {
  expect((await get("/healthz")).status).toBe(200);
  expect(JSON.parse((await get("/v1/experiments")).body)).toEqual({ experiments: [], next_cursor: null });
  expect(worker.lines()).toEqual([]);
}

/** Expects a rejection: by the runtime, which may close the connection, or by the app, with a problem. */
function expectRejected({ status, headers, body }: RawResponse) {
  if (status === null) return;
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
  if (/^content-type: application\/problem\+json/im.test(headers)) expect(JSON.parse(body)).toMatchObject({ status });
}

function expectProblem(response: RawResponse, status: number, kind: string) {
  expect(response.status).toBe(status);
  expect(response.headers).toMatch(/^content-type: application\/problem\+json/im);
  expect(JSON.parse(response.body)).toMatchObject({ status, type: `urn:edge-exposures:problem:${kind}` });
}

describe("a Content-Length", () => {
  it.each(["-1", "two", "1e2", "0x2", "+46", "46, 47", "99999999999999999999", "", "4 6"])(
    "of '%s' is rejected",
    async (length) => {
      expectRejected(await sendRaw(worker.url, [head(PUT, `Content-Length: ${length}`), BODY], "end"));
      await expectUnharmed();
    },
  );

  it("that contradicts another is rejected", async () => {
    const lengths = [`Content-Length: ${BODY.length}`, `Content-Length: ${BODY.length + 1}`];
    expectRejected(await sendRaw(worker.url, [head(PUT, ...lengths), BODY], "end"));
    await expectUnharmed();
  });

  it("beside Transfer-Encoding does not smuggle in a second request", async () => {
    const smuggled = head(PUT, `Content-Length: ${BODY.length}`) + BODY;
    const parts = [head(PUT, "Content-Length: 3", CHUNKED), chunk("[]"), "0\r\n\r\n", smuggled];
    expectRejected(await sendRaw(worker.url, parts, "end"));
    await expectUnharmed();
  });

  it("that is too short truncates the body, which then does not parse", async () => {
    expectProblem(await sendRaw(worker.url, [head(PUT, "Content-Length: 20"), BODY]), 400, "malformed-json");
    await expectUnharmed();
  });

  it("that is too long leaves the body incomplete, which is a client error", async () => {
    const response = await sendRaw(worker.url, [head(PUT, "Content-Length: 500"), BODY], "end");
    if (response.status !== null) expectProblem(response, 400, "incomplete-body");
    await expectUnharmed();
  });

  it("above the limit is rejected though the body does not arrive", async () => {
    for (const [requestLine, length] of [
      [PUT, 65_537],
      [WEBHOOK, 1_048_577],
      [PUT, 1_000_000_000_000_000],
    ] as const) {
      const response = await sendRaw(worker.url, [head(requestLine, `Content-Length: ${length}`)]);
      expectProblem(response, 413, "body-too-large");
    }
    await expectUnharmed();
  });
});

it("a client that asks whether to send its body is told not to", async () => {
  const response = await sendRaw(worker.url, [
    head("POST /nothing-here HTTP/1.1", "Content-Length: 9", "Expect: 100-continue"),
  ]);
  expect(response.status).toBe(404);
});

describe("a client that is still sending", () => {
  it.each([
    ["a PUT that is too large", PUT, 413, ADMIN],
    ["a webhook that is too large", WEBHOOK, 413, ADMIN],
    ["an unauthorized PUT", PUT, 401, "another"],
    ["a form of another type", "POST /login HTTP/1.1", 415, ADMIN],
    ["a route that needs no body", "POST /v1/experiments/raw/exposures/refresh HTTP/1.1", 404, ADMIN],
    ["an unknown route", "POST /nothing-here HTTP/1.1", 404, ADMIN],
    ["another method", "PUT /healthz HTTP/1.1", 405, ADMIN],
  ])("gets the response to %s, and keeps its connection", async (_, requestLine, status, token) => {
    const [method, path = ""] = requestLine.split(" ");
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    const isReused = [];
    for (let requests = 0; requests < 2; requests += 1) {
      const sent = request(new URL(path, worker.url), { method, agent, headers }).end("x".repeat(2 ** 21));
      const [response]: IncomingMessage[] = await once(sent, "response");
      expect(response?.statusCode).toBe(status);
      if (response !== undefined) await once(response.resume(), "close");
      isReused.push(sent.reusedSocket);
    }
    expect(isReused).toEqual([false, true]);
    agent.destroy();
  });
});

describe("a body in chunks", () => {
  it.each([
    ["a size that is not a number", ["zz\r\n{}\r\n0\r\n\r\n"]],
    ["a negative size", ["-2\r\n{}\r\n0\r\n\r\n"]],
    ["a size of 2^68", ["fffffffffffffffff\r\n{}\r\n0\r\n\r\n"]],
    ["a size that is too small", ["1\r\n{}\r\n0\r\n\r\n"]],
    ["a later size that is not a number", [chunk("{}"), "zz\r\n\r\n"]],
    ["no size at all", ["\r\n\r\n"]],
    ["no last chunk", [chunk("{}")]],
  ])("with %s is rejected", async (_, parts) => {
    expectRejected(await sendRaw(worker.url, [head(PUT, CHUNKED), ...parts], "end"));
    await expectUnharmed();
  });

  it.each(["gzip", "chunked, gzip", "identity", "chunkedd"])(
    "with the transfer coding %s is rejected",
    async (coding) => {
      expectRejected(await sendRaw(worker.url, [head(PUT, `Transfer-Encoding: ${coding}`), chunk(BODY)], "end"));
      await expectUnharmed();
    },
  );

  it.each([
    ["PUT", PUT, 64 * 1024],
    ["a webhook", WEBHOOK, 1024 * 1024],
  ])("of %s is rejected with 413 once it is too large, before it ends", async (_, requestLine, limit) => {
    const chunks = Array.from({ length: limit / 4096 + 1 }, () => chunk("x".repeat(4096)));
    expectProblem(await sendRaw(worker.url, [head(requestLine, CHUNKED), ...chunks]), 413, "body-too-large");
    await expectUnharmed();
  });

  it.each([
    ["PUT", PUT],
    ["a webhook", WEBHOOK],
    ["a route that needs no body", "POST /v1/experiments/raw/exposures/refresh HTTP/1.1"],
    ["an unknown route", "POST /nothing-here HTTP/1.1"],
  ])("without an end does no harm: %s", async (_, requestLine) => {
    expectRejected(await sendRaw(worker.url, [head(requestLine, CHUNKED), chunk("x".repeat(16_384))], "endless"));
    await expectUnharmed();
  });
});

describe("a client that disconnects", () => {
  it.each([
    ["after the head", [head(PUT, "Content-Length: 500")]],
    ["during the body", [head(PUT, "Content-Length: 500"), BODY]],
    ["between two chunks", [head(PUT, CHUNKED), chunk("{")]],
    ["during a webhook", [head(WEBHOOK, "Content-Length: 500"), BODY]],
    ["during the head", [`${PUT}\r\nHost: loc`]],
    ["before the response", [head("GET /v1/experiments HTTP/1.1")]],
  ])("%s does no harm", async (_, parts) => {
    for (let attempt = 0; attempt < 5; attempt += 1) await sendRaw(worker.url, parts, "abort");
    await expectUnharmed();
  });
});

describe("a request", () => {
  it("with an unexpected body gets the same response as without", async () => {
    for (const parts of [
      [head("GET /v1/experiments HTTP/1.1", "Content-Length: 2"), "{}"],
      [head("GET /v1/experiments HTTP/1.1", CHUNKED), chunk("{}"), "0\r\n\r\n"],
    ])
      expect((await sendRaw(worker.url, parts)).status).toBe(200);
    await expectUnharmed();
  });

  it.each(["100-continue", "100-CONTINUE", "tea"])("with Expect: %s gets its response", async (expected) => {
    const parts = [head(PUT, "Content-Length: 2", `Expect: ${expected}`), "{}"];
    expectProblem(await sendRaw(worker.url, parts), 400, "invalid-input");
    await expectUnharmed();
  });

  it.each([
    "GET  HTTP/1.1",
    "GET /v1/experiments",
    "GET /v1/experiments HTTP/9.9",
    "\x16\x03\x01\x02\x00",
    "PRI * HTTP/2.0",
    `GET /v1/experiments/${"a".repeat(100_000)} HTTP/1.1`,
    "GET /v1/experiments?cursor=%",
    "GET /v1/experiments/\u00e9 HTTP/1.1",
    "GET //v1/experiments HTTP/1.1",
    "GET /v1/experiments/a%2F..%2Fb HTTP/1.1",
    "GET /v1/%65xperiments/\u0001 HTTP/1.1",
  ])("that begins with %j is rejected", async (requestLine) => {
    expectRejected(await sendRaw(worker.url, [head(requestLine)], "end"));
    await expectUnharmed();
  });

  it.each(["get", "Get", "FOO", "G E T"])("with the method %s is rejected, not treated as GET", async (method) => {
    const { status } = await sendRaw(worker.url, [head(`${method} /v1/experiments HTTP/1.1`)], "end");
    // workerd rejects unknown methods itself. The app would return 405.
    expect([400, 405, 501, null]).toContain(status);
    await expectUnharmed();
  });

  it.each([
    ["a name with a space", "Bad Name: x"],
    ["no colon", "nothing"],
    ["a folded line", "X: a\r\n b"],
    ["a NUL", "X: a\0b"],
    ["invalid UTF-8", "X: \u00ff\u00fe"],
    ["5,000 headers", Array.from({ length: 5000 }, (_, index) => `X-${index}: x`).join("\r\n")],
    ["200 KB in one header", `X: ${"a".repeat(200_000)}`],
  ])("whose headers have %s is served or rejected, and does no harm", async (_, header) => {
    const response = await sendRaw(worker.url, [Buffer.from(head("GET /v1/experiments HTTP/1.1", header), "latin1")]);
    if (response.status !== 200) expectRejected(response);
    await expectUnharmed();
  });

  // Cloudflare's edge, and workerd locally, reject these before the Worker.
  if (inject("runtime") === "workerd") return;
  it("whose Host is invalid gets no 5xx response", async () => {
    for (const host of ["a b[:", "", ":::", "[", "a/b?c#d"]) {
      const from = (requestLine: string, ...more: string[]) => head(requestLine, ...more).replace("localhost", host);
      for (const parts of [
        [from("GET /healthz HTTP/1.1")],
        [from("GET /v1/experiments?limit=1 HTTP/1.1")],
        [from(PUT, CHUNKED), chunk("{}"), "0\r\n\r\n"],
        [from(PUT, "Content-Length: 2"), "{}"],
      ]) {
        const { status } = await sendRaw(worker.url, parts);
        expect(status === null || status < 500, `${host}: ${status}`).toBe(true);
      }
    }
    await expectUnharmed();
  });
});

it("a complete body in chunks is accepted, and logs one line", async () => {
  const parts = [head(PUT, CHUNKED), chunk(BODY.slice(0, 7)), chunk(BODY.slice(7)), "0\r\n\r\n"];
  expect((await sendRaw(worker.url, parts)).status).toBe(201);
  const lines = await until(
    () => worker.lines(),
    ({ length }) => length > 0,
  );
  expect(lines.map((line) => JSON.parse(line).event)).toEqual(["experiment.saved"]);
});
