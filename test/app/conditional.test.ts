import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sendRaw, startBare } from "../support/raw-http.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, until } from "../support/worker.ts";

// Conditional headers of every odd form, byte for byte as they are sent: clients would tidy them up. The plain forms of
// If-None-Match are in exposures-http.test.ts and test/http/answers.test.ts.

const ID = "/v1/experiments/conditional";
const PATH = `${ID}/exposures`;

let worker: Awaited<ReturnType<typeof startBare>>;
let full: { etag: string; body: string };
beforeAll(async () => {
  worker = await startBare((await createWarehouse()).settings);
  const times = { started_at: "2026-06-01T00:00:00.000Z", ended_at: "2026-06-02T00:00:00.000Z" };
  const body = JSON.stringify({ environment_key: "env", feature_name: "conditional", ...times });
  expect((await send("PUT", ID, [`Content-Length: ${body.length}`], body)).status).toBe(201);
  const answer = await until(
    () => get(),
    (found) => JSON.parse(found.body).is_final === true,
  );
  full = { etag: headerOf(answer, "ETag") ?? "", body: answer.body };
  expect(full.etag).toMatch(/^"[\x21\x23-\x7e]+"$/);
});
afterAll(() => worker.stop());

function send(method: string, path: string, headers: readonly string[], body = "") {
  const own = ["Host: localhost", `Authorization: Bearer ${ADMIN}`, "Content-Type: application/json"];
  const head = [`${method} ${path} HTTP/1.1`, ...own, ...headers, "", ""].join("\r\n");
  return sendRaw(worker.url, [Buffer.from(head, "latin1"), body]);
}
type Answer = Awaited<ReturnType<typeof send>>;
const get = (...headers: string[]) => send("GET", PATH, headers);

function headerOf({ headers }: Answer, name: string): string | undefined {
  return new RegExp(`^${name}: *(.*?) *$`, "im").exec(headers)?.[1];
}

/** The whole answer, as if the header had not been there. */
function expectFull(answer: Answer) {
  expect(answer).toMatchObject({ status: 200, body: full.body });
  expect(headerOf(answer, "ETag")).toBe(full.etag);
  expect(headerOf(answer, "Content-Range")).toBeUndefined();
  expect(headerOf(answer, "Content-Encoding")).toBeUndefined();
  expect(headerOf(answer, "Content-Type")).toMatch(/^application\/json\b/);
}

function expectUnchanged(answer: Answer) {
  expect(answer).toMatchObject({ status: 304, body: "" });
  expect(headerOf(answer, "ETag")).toBe(full.etag);
  expect(headerOf(answer, "Cache-Control")).toMatch(/max-age=5/);
  expect(headerOf(answer, "Vary")).toMatch(/Authorization/i);
}

describe("If-None-Match", () => {
  it.each<[what: string, ...lines: ((etag: string) => string)[]]>([
    ["in a list of 300 tags, 8 KB long", (etag) => `${'"another-tag-of-27-characters", '.repeat(260)}${etag}`],
    ["in the second of two headers", () => '"other"', (etag) => etag],
    ["in the first of two headers", (etag) => etag, () => '"other"'],
    ["in the second header, after a tag with a comma in it", () => '"a,b"', (etag) => `W/${etag}`],
    ["after a tag with an escaped quote, which is none", () => '"a\\"', (etag) => etag],
    ["after a tag of bytes beyond ASCII", (etag) => `"caf\u00e9", ${etag}`],
    ["after an empty tag", (etag) => `"", ${etag}`],
    ["among empty members", (etag) => `,,\t,${etag},,`],
    ["twice", (etag) => `${etag}, ${etag}`],
  ])("matches the tag %s", async (_, ...lines) => {
    expectUnchanged(await get(...lines.map((line) => `If-None-Match: ${line(full.etag)}`)));
  });

  it.each<[what: string, header: (etag: string) => string]>([
    ["an opening quote only", (etag) => etag.slice(0, -1)],
    ["a closing quote only", (etag) => etag.slice(1)],
    ["three quotes", (etag) => `"${etag}`],
    ["single quotes", (etag) => etag.replaceAll('"', "'")],
    ["backslashes before its quotes", (etag) => etag.replaceAll('"', '\\"')],
    ["itself inside another tag, between commas", (etag) => `"a,${etag.slice(1, -1)},b"`],
    ["another encoding's suffix", (etag) => `${etag.slice(0, -1)}-gzip"`],
    ["a semicolon for a comma", (etag) => `"other"; ${etag}`],
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

// RFC 9110 asks for If-Match and If-Unmodified-Since where a lost update or a mixed-up range may follow (sections
// 13.1.1 and 13.1.4); a server without ranges and Last-Modified may leave out what depends on those (13.1.3 to 13.1.5).
// A GET here heeds If-None-Match and nothing else.
describe("a GET takes no notice of", () => {
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
    expectUnchanged(await get(header, `If-None-Match: ${full.etag}`));
  });

  it("Range with If-Range, even for the right tag", async () => {
    expectFull(await get("Range: bytes=0-10", `If-Range: ${full.etag}`));
  });
});

it.each(["gzip", "br", "deflate", "gzip;q=0.5, br;q=1", "*"])(
  "an answer for Accept-Encoding: %s is the same",
  async (encoding) => {
    const url = new URL(PATH, worker.url);
    const headers = { Authorization: `Bearer ${ADMIN}`, "Accept-Encoding": encoding };
    const answer = await fetch(url, { headers });
    expect(await answer.text()).toBe(full.body);
    // A runtime that packs it makes the tag a weak one.
    const etag = answer.headers.get("ETag") ?? "";
    expect(etag.replace(/^W\//, "")).toBe(full.etag);
    expect(answer.headers.get("Vary")).toMatch(/Authorization/i);
    const again = await fetch(url, { headers: { ...headers, "If-None-Match": etag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  },
);

it("offers no ranges and no date to ask by", async () => {
  const answer = await get();
  for (const name of ["Accept-Ranges", "Last-Modified"]) expect(headerOf(answer, name)).toBeUndefined();
});

describe("X-HTTP-Method-Override", () => {
  it.each(["DELETE", "PUT", "GET"])("turns no POST into %s", async (method) => {
    const { status } = await send("POST", ID, [`X-HTTP-Method-Override: ${method}`, "Content-Length: 2"], "{}");
    expect(status).toBe(405);
    expectFull(await get());
  });

  it("is not taken from the query or the body either", async () => {
    const form = "_method=DELETE";
    expect((await send("POST", `${ID}?${form}`, [`Content-Length: ${form.length}`], form)).status).toBe(405);
    expectFull(await get());
  });
});

describe("writes heed no condition", () => {
  it.each(["If-None-Match: *", 'If-Match: "other"', "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT"])(
    "%s neither stops a PUT or DELETE nor makes it fail",
    async (header) => {
      const path = "/v1/experiments/written";
      const body = JSON.stringify({ environment_key: "env", feature_name: "written" });
      const put = () => send("PUT", path, [header, `Content-Length: ${body.length}`], body);
      expect([(await put()).status, (await put()).status]).toEqual([201, 200]);
      expect((await send("DELETE", path, [header])).status).toBe(204);
    },
  );
});

it("nothing of all this was a bug in the log", () => {
  expect(worker.lines().map((line) => JSON.parse(line).event)).not.toContain("request.failed");
});
