import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sendRaw, startWithoutProxy } from "../support/raw-http.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, until } from "../support/worker.ts";

// Unusual conditional headers, sent byte for byte because HTTP clients would normalise them. The usual forms of
// If-None-Match are tested in exposures-http.test.ts and test/http/responses.test.ts.

const ID = "/v1/experiments/conditional";
const PATH = `${ID}/exposures`;

let worker: Awaited<ReturnType<typeof startWithoutProxy>>;
let full: { etag: string; body: string };
beforeAll(async () => {
  worker = await startWithoutProxy((await createWarehouse()).settings);
  const times = { started_at: "2026-06-01T00:00:00.000Z", ended_at: "2026-06-02T00:00:00.000Z" };
  const body = JSON.stringify({ environment_key: "env", feature_name: "conditional", ...times });
  expect((await send("PUT", ID, [`Content-Length: ${body.length}`], body)).status).toBe(201);
  const response = await until(
    () => get(),
    ({ body }) => JSON.parse(body).is_final === true,
  );
  full = { etag: headerOf(response, "ETag") ?? "", body: response.body };
  expect(full.etag).toMatch(/^"[\x21\x23-\x7e]+"$/);
});
afterAll(() => worker.stop());

function send(method: string, path: string, headers: readonly string[], body = "") {
  const defaults = ["Host: localhost", `Authorization: Bearer ${ADMIN}`, "Content-Type: application/json"];
  const head = [`${method} ${path} HTTP/1.1`, ...defaults, ...headers, "", ""].join("\r\n");
  return sendRaw(worker.url, [Buffer.from(head, "latin1"), body]);
}
type RawResponse = Awaited<ReturnType<typeof send>>;
const get = (...headers: string[]) => send("GET", PATH, headers);

function headerOf({ headers }: RawResponse, name: string): string | undefined {
  return new RegExp(`^${name}: *(.*?) *$`, "im").exec(headers)?.[1];
}

/** Expects the response of a request without conditional headers. */
function expectFull(response: RawResponse) {
  expect(response).toMatchObject({ status: 200, body: full.body });
  expect(headerOf(response, "ETag")).toBe(full.etag);
  expect(headerOf(response, "Content-Range")).toBeUndefined();
  expect(headerOf(response, "Content-Encoding")).toBeUndefined();
  expect(headerOf(response, "Content-Type")).toMatch(/^application\/json\b/);
}

function expectNotModified(response: RawResponse) {
  expect(response).toMatchObject({ status: 304, body: "" });
  expect(headerOf(response, "ETag")).toBe(full.etag);
  expect(headerOf(response, "Cache-Control")).toMatch(/max-age=5/);
  expect(headerOf(response, "Vary")).toMatch(/Authorization/i);
}

describe("If-None-Match", () => {
  it.each<[name: string, ...lines: ((etag: string) => string)[]]>([
    ["in a list of 300 tags, 8 KB long", (etag) => `${'"another-tag-of-27-characters", '.repeat(260)}${etag}`],
    ["in the second of two headers", () => '"other"', (etag) => etag],
    ["in the first of two headers", (etag) => etag, () => '"other"'],
    ["in the second header, after a tag with a comma in it", () => '"a,b"', (etag) => `W/${etag}`],
    ["after a tag with a backslash, which escapes nothing", () => '"a\\"', (etag) => etag],
    ["after a tag of bytes beyond ASCII", (etag) => `"caf\u00e9", ${etag}`],
    ["after an empty tag", (etag) => `"", ${etag}`],
    ["among empty members", (etag) => `,,\t,${etag},,`],
    ["twice", (etag) => `${etag}, ${etag}`],
  ])("matches the tag %s", async (_, ...lines) => {
    expectNotModified(await get(...lines.map((line) => `If-None-Match: ${line(full.etag)}`)));
  });

  it.each<[name: string, header: (etag: string) => string]>([
    ["an opening quote only", (etag) => etag.slice(0, -1)],
    ["a closing quote only", (etag) => etag.slice(1)],
    ["three quotes", (etag) => `"${etag}`],
    ["single quotes", (etag) => etag.replaceAll('"', "'")],
    ["backslashes before its quotes", (etag) => etag.replaceAll('"', '\\"')],
    ["the tag inside another tag, between commas", (etag) => `"a,${etag.slice(1, -1)},b"`],
    ["a suffix for another encoding", (etag) => `${etag.slice(0, -1)}-gzip"`],
    ["a semicolon instead of a comma", (etag) => `"other"; ${etag}`],
    ["8 KB without a quote", () => "a".repeat(8192)],
    ["8 KB of quotes", () => '"'.repeat(8191)],
    ["8 KB of spaces inside a tag", () => `"${" ".repeat(8190)}"`],
    ["W/ alone", () => "W/"],
    ["an empty tag", () => '""'],
    ["**", () => "**"],
    ["null", () => "null"],
  ])("does not match with %s", async (_, header) => {
    expectFull(await get(`If-None-Match: ${header(full.etag)}`));
  });
});

// RFC 9110 requires If-Match and If-Unmodified-Since only against lost updates and inconsistent ranges (sections 13.1.1
// and 13.1.4). A server without ranges and Last-Modified may ignore the headers that depend on them (13.1.3 to 13.1.5).
// Here, GET supports only If-None-Match.
describe("GET ignores", () => {
  const past = "Sat, 01 Jan 2000 00:00:00 GMT";
  const future = "Fri, 01 Jan 2100 00:00:00 GMT";
  it.each([
    'If-Match: "other"',
    "If-Match: *",
    "If-Match: garbage",
    `If-Modified-Since: ${future}`,
    `If-Modified-Since: ${past}`,
    "If-Modified-Since: yesterday",
    "If-Modified-Since: 0",
    `If-Unmodified-Since: ${past}`,
    "If-Unmodified-Since: never",
    'If-Range: "other"',
    `If-Range: ${past}`,
    "Range: bytes=0-10",
    "Range: bytes=-1",
    "Range: bytes=0-0",
    "Range: bytes=9999999-",
    "Range: bytes=5-1",
    "Range: bytes=-0",
    "Range: bytes=0-1,3-4,6-7",
    `Range: bytes=${"0-,".repeat(2000)}0-`,
    "Range: bytes=99999999999999999999999-",
    "Range: lines=1",
    "Range: garbage",
    "Range:",
    "Accept: text/html",
    "Accept: application/xml;q=1, */*;q=0",
    "Accept: ;;;,,,/",
    "Accept-Language: xx-garbage-*;q=9",
    "Accept-Charset: utf-16",
    "Accept-Encoding: identity;q=0.1, x-other;q=1",
    "Accept-Encoding: x-unknown",
    "TE: trailers, deflate;q=0.5",
    "Trailer: ETag",
    "X-HTTP-Method-Override: DELETE",
    "X-HTTP-Method: DELETE",
    "X-Method-Override: DELETE",
    "X-Original-URL: /healthz",
    "X-Rewrite-URL: /healthz",
    "X-Forwarded-Prefix: /webhooks",
    "Forwarded: for=127.0.0.1;host=evil.example;proto=http",
    "X-Forwarded-Host: evil.example",
    "Cache-Control: no-cache, only-if-cached",
    "Pragma: no-cache",
    "Max-Forwards: 0",
    "Upgrade: websocket",
    "Upgrade: h2c",
    "Expect: 100-continue",
  ])("%s", async (header) => {
    expectFull(await get(header));
    expectNotModified(await get(header, `If-None-Match: ${full.etag}`));
  });

  it("Range with an If-Range that matches", async () => {
    expectFull(await get("Range: bytes=0-10", `If-Range: ${full.etag}`));
  });
});

it.each(["gzip", "br", "deflate", "gzip;q=0.5, br;q=1", "*"])(
  "returns the same body for Accept-Encoding: %s",
  async (encoding) => {
    const url = new URL(PATH, worker.url);
    const headers = { Authorization: `Bearer ${ADMIN}`, "Accept-Encoding": encoding };
    const response = await fetch(url, { headers });
    expect(await response.text()).toBe(full.body);
    // A runtime that compresses the body weakens the tag.
    const etag = response.headers.get("ETag") ?? "";
    expect(etag.replace(/^W\//, "")).toBe(full.etag);
    expect(response.headers.get("Vary")).toMatch(/Authorization/i);
    const again = await fetch(url, { headers: { ...headers, "If-None-Match": etag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  },
);

it("sends neither Accept-Ranges nor Last-Modified", async () => {
  const response = await get();
  for (const name of ["Accept-Ranges", "Last-Modified"]) expect(headerOf(response, name)).toBeUndefined();
});

describe("X-HTTP-Method-Override", () => {
  it.each(["DELETE", "PUT", "GET"])("does not turn a POST into %s", async (method) => {
    const { status } = await send("POST", ID, [`X-HTTP-Method-Override: ${method}`, "Content-Length: 2"], "{}");
    expect(status).toBe(405);
    expectFull(await get());
  });

  it("has no equivalent in the query or the body", async () => {
    const form = "_method=DELETE";
    expect((await send("POST", `${ID}?${form}`, [`Content-Length: ${form.length}`], form)).status).toBe(405);
    expectFull(await get());
  });
});

describe("PUT and DELETE", () => {
  it.each(["If-None-Match: *", 'If-Match: "other"', "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT"])(
    "ignore %s",
    async (header) => {
      const path = "/v1/experiments/written";
      const body = JSON.stringify({ environment_key: "env", feature_name: "written" });
      const put = () => send("PUT", path, [header, `Content-Length: ${body.length}`], body);
      expect([(await put()).status, (await put()).status]).toEqual([201, 200]);
      expect((await send("DELETE", path, [header])).status).toBe(204);
    },
  );
});

it("logs no bug for any of these requests", () => {
  expect(worker.lines().map((line) => JSON.parse(line).event)).not.toContain("request.failed");
});
