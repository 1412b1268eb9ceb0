import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type RawAnswer, sendRaw, startBare } from "../support/raw-http.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, until } from "../support/worker.ts";

// What no HTTP client would send, byte by byte over a socket.

let worker: Awaited<ReturnType<typeof startBare>>;
beforeAll(async () => {
  worker = await startBare((await createWarehouse()).settings);
});
afterAll(() => worker.stop());

const PUT = "PUT /v1/experiments/raw HTTP/1.1";
const HINT = "POST /webhooks/refresh HTTP/1.1";
const BODY = '{"environment_key":"raw","feature_name":"raw"}';
const CHUNKED = "Transfer-Encoding: chunked";

function head(first: string, ...headers: string[]): string {
  const authorization = `Authorization: Bearer ${ADMIN}`;
  return [first, "Host: localhost", authorization, "Content-Type: application/json", ...headers, "", ""].join("\r\n");
}
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

const get = (path: string) => sendRaw(worker.url, [head(`GET ${path} HTTP/1.1`)]);

/** The server goes on, has nothing new stored, and has logged no bug. */
async function expectUnharmed() {
  expect((await get("/healthz")).status).toBe(200);
  expect(JSON.parse((await get("/v1/experiments")).body)).toEqual({ experiments: [], next_cursor: null });
  expect(worker.lines()).toEqual([]);
}

/** Refused by the runtime, which may just hang up, or by the app, which answers a problem. */
function expectRefused({ status, headers, body }: RawAnswer) {
  if (status === null) return;
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
  if (/^content-type: application\/problem\+json/im.test(headers)) expect(JSON.parse(body)).toMatchObject({ status });
}

function expectProblem(answer: RawAnswer, status: number, kind: string) {
  expect(answer.status).toBe(status);
  expect(answer.headers).toMatch(/^content-type: application\/problem\+json/im);
  expect(JSON.parse(answer.body)).toMatchObject({ status, type: `urn:edge-exposures:problem:${kind}` });
}

describe("a Content-Length", () => {
  it.each(["-1", "two", "1e2", "0x2", "+46", "46, 47", "99999999999999999999", "", "4 6"])(
    "of '%s' is refused",
    async (length) => {
      expectRefused(await sendRaw(worker.url, [head(PUT, `Content-Length: ${length}`), BODY], "finish"));
      await expectUnharmed();
    },
  );

  it("that contradicts another is refused", async () => {
    const lengths = [`Content-Length: ${BODY.length}`, `Content-Length: ${BODY.length + 1}`];
    expectRefused(await sendRaw(worker.url, [head(PUT, ...lengths), BODY], "finish"));
    await expectUnharmed();
  });

  it("beside chunks is refused, or the chunks count: nothing is smuggled in as a second request", async () => {
    const smuggled = head(PUT, `Content-Length: ${BODY.length}`) + BODY;
    const parts = [head(PUT, "Content-Length: 3", CHUNKED), chunk("[]"), "0\r\n\r\n", smuggled];
    expectRefused(await sendRaw(worker.url, parts, "finish"));
    await expectUnharmed();
  });

  it("that is too short cuts the body, which does not parse then", async () => {
    expectProblem(await sendRaw(worker.url, [head(PUT, "Content-Length: 20"), BODY]), 400, "malformed-json");
    await expectUnharmed();
  });

  it("that is too long makes an incomplete body, which is the caller's mistake and none of ours", async () => {
    const answer = await sendRaw(worker.url, [head(PUT, "Content-Length: 500"), BODY], "finish");
    if (answer.status !== null) expectProblem(answer, 400, "incomplete-body");
    await expectUnharmed();
  });

  it("beyond the limit is refused before any of the body comes", async () => {
    for (const [call, length] of [
      [PUT, 65_537],
      [HINT, 1_048_577],
      [PUT, 1_000_000_000_000_000],
    ] as const) {
      const answer = await sendRaw(worker.url, [head(call, `Content-Length: ${length}`)]);
      expectProblem(answer, 413, "body-too-large");
    }
    await expectUnharmed();
  });
});

describe("a body in chunks", () => {
  it.each([
    ["a size that is no number", ["zz\r\n{}\r\n0\r\n\r\n"]],
    ["a negative size", ["-2\r\n{}\r\n0\r\n\r\n"]],
    ["a size of 2^68", ["fffffffffffffffff\r\n{}\r\n0\r\n\r\n"]],
    ["a size that is too small", ["1\r\n{}\r\n0\r\n\r\n"]],
    ["a later size that is no number", [chunk("{}"), "zz\r\n\r\n"]],
    ["no size at all", ["\r\n\r\n"]],
    ["an end that never comes", [chunk("{}")]],
  ])("with %s is refused", async (_, parts) => {
    expectRefused(await sendRaw(worker.url, [head(PUT, CHUNKED), ...parts], "finish"));
    await expectUnharmed();
  });

  it.each(["gzip", "chunked, gzip", "identity", "chunkedd"])("in the coding %s is refused", async (coding) => {
    expectRefused(await sendRaw(worker.url, [head(PUT, `Transfer-Encoding: ${coding}`), chunk(BODY)], "finish"));
    await expectUnharmed();
  });

  it.each([
    ["PUT", PUT, 64 * 1024],
    ["a webhook", HINT, 1024 * 1024],
  ])("of %s is refused with 413 once it is too long, though its end has not come", async (_, call, limit) => {
    const chunks = Array.from({ length: limit / 4096 + 1 }, () => chunk("x".repeat(4096)));
    expectProblem(await sendRaw(worker.url, [head(call, CHUNKED), ...chunks]), 413, "body-too-large");
    await expectUnharmed();
  });

  it.each([
    ["PUT", PUT],
    ["a webhook", HINT],
    ["a call that needs no body", "POST /v1/experiments/raw/exposures/refresh HTTP/1.1"],
    ["a call that nobody serves", "POST /nothing-here HTTP/1.1"],
  ])("without end does no harm: %s", async (_, call) => {
    expectRefused(await sendRaw(worker.url, [head(call, CHUNKED), chunk("x".repeat(16_384))], "forever"));
    await expectUnharmed();
  });
});

describe("a caller who vanishes", () => {
  it.each([
    ["after the head", [head(PUT, "Content-Length: 500")]],
    ["inside the body", [head(PUT, "Content-Length: 500"), BODY]],
    ["between two chunks", [head(PUT, CHUNKED), chunk("{")]],
    ["inside a webhook", [head(HINT, "Content-Length: 500"), BODY]],
    ["inside the head", [`${PUT}\r\nHost: loc`]],
    ["before the answer", [head("GET /v1/experiments HTTP/1.1")]],
  ])("%s is no bug of ours", async (_, parts) => {
    for (let time = 0; time < 5; time += 1) await sendRaw(worker.url, parts, "vanish");
    await expectUnharmed();
  });
});

describe("a request", () => {
  it("with a body where none belongs is answered as without", async () => {
    for (const body of [
      [head("GET /v1/experiments HTTP/1.1", "Content-Length: 2"), "{}"],
      [head("GET /v1/experiments HTTP/1.1", CHUNKED), chunk("{}"), "0\r\n\r\n"],
    ])
      expect((await sendRaw(worker.url, body)).status).toBe(200);
    await expectUnharmed();
  });

  it.each(["100-continue", "100-CONTINUE", "tea"])("that expects %s gets its answer", async (expected) => {
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
  ])("that begins with %j is refused", async (first) => {
    expectRefused(await sendRaw(worker.url, [head(first)], "finish"));
    await expectUnharmed();
  });

  it.each(["get", "Get", "FOO", "G E T"])("with the method %s is refused, not taken for GET", async (method) => {
    const { status } = await sendRaw(worker.url, [head(`${method} /v1/experiments HTTP/1.1`)], "finish");
    // workerd knows the methods of HTTP, and answers others itself; the app would answer 405.
    expect([400, 405, 501, null]).toContain(status);
    await expectUnharmed();
  });

  it.each([
    ["a name with a space", "Bad Name: x"],
    ["no colon", "nothing"],
    ["a line that is folded", "X: a\r\n b"],
    ["a NUL", "X: a\0b"],
    ["bytes that are no UTF-8", "X: \u00ff\u00fe"],
    ["5,000 headers", Array.from({ length: 5000 }, (_, index) => `X-${index}: x`).join("\r\n")],
    ["200 KB in one header", `X: ${"a".repeat(200_000)}`],
  ])("whose headers have %s is answered or refused, and does no harm", async (_, header) => {
    const answer = await sendRaw(worker.url, [Buffer.from(head("GET /v1/experiments HTTP/1.1", header), "latin1")]);
    if (answer.status !== 200) expectRefused(answer);
    await expectUnharmed();
  });

  // Cloudflare's edge, and locally workerd, turn these away before the Worker.
  if (inject("runtime") === "workerd") return;
  it("whose Host is none is answered all the same", async () => {
    for (const host of ["a b[:", "", ":::", "[", "a/b?c#d"]) {
      const from = (call: string, ...more: string[]) => head(call, ...more).replace("localhost", host);
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

it("a body in chunks that is whole is taken, and makes one line of the log", async () => {
  const parts = [head(PUT, CHUNKED), chunk(BODY.slice(0, 7)), chunk(BODY.slice(7)), "0\r\n\r\n"];
  expect((await sendRaw(worker.url, parts)).status).toBe(201);
  const lines = await until(
    () => worker.lines(),
    ({ length }) => length > 0,
  );
  expect(lines.map((line) => JSON.parse(line).event)).toEqual(["experiment.saved"]);
});
