import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Operation, operationsOf } from "../support/openapi-requests.ts";
import { type SignatureHeader, sign } from "../support/sign.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, startWorker, type TestWorker } from "../support/worker.ts";

const JSON_TYPE = "application/json";
const STANDARD = "webhook-signature";
const FLAGSMITH = "x-flagsmith-signature";

let worker: TestWorker;
/** The documented operations with a JSON body. */
let jsonOperations: Operation[];
beforeAll(async () => {
  worker = await startWorker((await createWarehouse()).settings);
  const operations = operationsOf((await worker.call("GET", "/openapi.json")).json);
  jsonOperations = operations.filter(({ body }) => body?.mediaType === JSON_TYPE);
  expect(jsonOperations.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      "PUT /v1/experiments/{id}",
      "POST /webhooks/refresh",
      "POST /webhooks/flagsmith/{environment_key}",
    ]),
  );
  await put("existing", { environment_key: "known", feature_name: "known" });
});
afterAll(() => worker.stop());

type RawBody = string | Uint8Array<ArrayBuffer>;

async function send(method: string, path: string, body: RawBody, type: string, signature: SignatureHeader | null) {
  const response = await worker.fetch(path, {
    method,
    headers: {
      Authorization: `Bearer ${ADMIN}`,
      ...(type === "" ? {} : { "Content-Type": type }),
      ...(signature === null ? {} : sign(signature, body)),
    },
    // Bytes, because fetch sets a Content-Type for a string.
    body: typeof body === "string" ? new TextEncoder().encode(body) : body,
  });
  const text = await response.text();
  return { status: response.status, type: response.headers.get("Content-Type"), text, json: JSON.parse(text) };
}

const textOf = (body: unknown) => (typeof body === "string" ? body : JSON.stringify(body));
const put = (id: string, body: unknown) => send("PUT", `/v1/experiments/${id}`, textOf(body), JSON_TYPE, null);
const sendWebhook = (body: unknown) => send("POST", "/webhooks/refresh", textOf(body), JSON_TYPE, STANDARD);
const sendFlagsmith = (body: unknown, environment = "unknown") =>
  send("POST", `/webhooks/flagsmith/${environment}`, textOf(body), JSON_TYPE, FLAGSMITH);

const NO_MATCHES = { accepted: [], skipped: [] };

let count = 0;
/** An id and a body that no other test uses. */
function uniqueExperiment(fields: object = {}) {
  count += 1;
  return { id: `body-${count}`, body: { environment_key: "bodies", feature_name: `feature-${count}`, ...fields } };
}

function expectProblem(response: Awaited<ReturnType<typeof send>>, ...statuses: number[]) {
  expect(statuses).toContain(response.status);
  expect(response.type).toMatch(/^application\/problem\+json\b/);
  expect(response.json).toMatchObject({
    status: response.status,
    title: expect.any(String),
    detail: expect.any(String),
  });
}

/** Sends the body to every operation, and expects a problem, no change and no bug. */
async function expectAllReject(body: RawBody, type: string, ...statuses: number[]) {
  const before = (await worker.call("GET", "/v1/experiments?limit=200")).text;
  for (const { method, template, parameters } of jsonOperations) {
    const names = parameters.map(({ name }) => name.toLowerCase());
    const signature = [STANDARD, FLAGSMITH].find((name): name is SignatureHeader => names.includes(name)) ?? null;
    const path = template.replaceAll(/\{\w+\}/g, "rejected");
    expectProblem(await send(method, path, body, type, signature), ...statuses);
  }
  expect((await worker.call("GET", "/v1/experiments?limit=200")).text).toBe(before);
  expect(worker.logs().filter(({ event }) => event === "request.failed")).toEqual([]);
}

const DEPTH = 100_000;
const nested = (open: string, close: string, depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`;

describe("every operation with a JSON body", () => {
  it.each<[name: string, body: string]>([
    ["nested arrays, 100,000 deep", nested("[", "]", DEPTH)],
    ["nested arrays that never close", "[".repeat(DEPTH)],
    ["nested objects, 100,000 deep", nested('{"a":', "}", DEPTH)],
    ["nested objects that never close", '{"a":'.repeat(DEPTH)],
    ["nested objects, as deep as the size limit allows", nested('{"a":', "}", 10_000)],
    ["nested arrays, as deep as the size limit allows", nested("[", "]", 32_000)],
    ["an array of 10,001 nulls", `[${"null,".repeat(10_000)}null]`],
    [
      "an object of 5,000 keys",
      JSON.stringify(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, 0]))),
    ],
    ["a string of 1 MiB", JSON.stringify("x".repeat(1024 * 1024))],
    ["a key of 1 MiB", JSON.stringify({ ["x".repeat(1024 * 1024)]: 1 })],
  ])("rejects %s", (_, body) => expectAllReject(body, JSON_TYPE, 400, 413));

  it.each<[name: string, body: string]>([
    ["an empty body", ""],
    ["white space", " \t\r\n "],
    ["1e400", "1e400"],
    ["-0", "-0"],
    ["a number of 401 digits", `1${"0".repeat(400)}`],
    ["9007199254740993", "9007199254740993"],
    ["NaN", "NaN"],
    ["Infinity", "Infinity"],
    ["a comment", "/* */ {}"],
    ["a trailing comma", '{"environment_key":"a",}'],
    ["a byte order mark", '\ufeff{"environment_key":"a"}'],
    ["NUL after the object", '{"environment_key":"a"}\0'],
    ["a raw line break in a string", '{"environment_key":"a\nb"}'],
    ["a truncated escape", '{"environment_key":"\\ud8'],
    ["__proto__", '{"__proto__":{"environment_key":"a","feature_name":"b","event_type":"X"}}'],
    ["constructor", '{"constructor":{"prototype":{"environment_key":"a"}}}'],
  ])("rejects %s", (_, body) => expectAllReject(body, JSON_TYPE, 400));

  // Webhooks return 401, because a signature covers text: none is valid for other bytes.
  it.each<[name: string, ...bytes: number[]]>([
    ["a slash in two bytes", 0xc0, 0xaf],
    ["NUL in two bytes", 0xc0, 0x80],
    ["a surrogate in three bytes", 0xed, 0xa0, 0x80],
    ["a code point above U+10FFFF", 0xf4, 0x90, 0x80, 0x80],
    ["a truncated character", 0xe2, 0x82],
    ["a lone continuation byte", 0x80],
    ["bytes that never occur in UTF-8", 0xff, 0xfe, 0xfd],
    ["Latin-1", 0xe9],
  ])("rejects a valid body but for bytes that are not UTF-8: %s", (_, ...bytes) => {
    const [before, after] = ['{"feature_name":"f","environment_key":"', '"}'].map((text) => [...Buffer.from(text)]);
    return expectAllReject(Uint8Array.of(...(before ?? []), ...bytes, ...(after ?? [])), JSON_TYPE, 400, 401);
  });

  it.each<[name: string, bytes: Buffer]>([
    ["UTF-16", Buffer.from("\ufeff{}", "utf16le")],
    ["UTF-16 without a byte order mark", Buffer.from("{}", "utf16le")],
    ["a truncated character at the end", Buffer.of(0x7b, 0x7d, 0xe2, 0x82)],
  ])("rejects a body that is not UTF-8: %s", (_, bytes) =>
    expectAllReject(Uint8Array.from(bytes), JSON_TYPE, 400, 401),
  );

  it.each([
    ...["", "text/json", "application/problem+json", "application/jsonl", "application/json,text/plain", "json"],
    ...["text/plain", "application/json/x", "application", "*/*", "application/ json", "multipart/form-data"],
  ])("answers 415 to the Content-Type '%s'", (type) => expectAllReject("{}", type, 415));
});

describe("the Content-Type", () => {
  it.each([
    "APPLICATION/JSON",
    "application/json;",
    "application/json ; charset=UTF-8",
    "application/json; charset=utf-16",
    "application/json; boundary=x; q=0.1",
  ])("%s is accepted as JSON in UTF-8", async (type) => {
    const { id, body } = uniqueExperiment({ name: "é" });
    const response = await send("PUT", `/v1/experiments/${id}`, JSON.stringify(body), type, null);
    expect([response.status, response.json.name]).toEqual([201, "é"]);
  });
});

describe("a duplicate key", () => {
  it.each([
    ["at the top level", '"name":"first","name":"last"', { name: "last" }],
    ["with an escape", '"name":"first","n\\u0061me":"last"', { name: "last" }],
    ["after an invalid value", '"name":1,"name":"last"', { name: "last" }],
    [
      "in a variant",
      '"variants":[{"key":"first","weight":1,"key":"last"}]',
      { variants: [{ key: "last", weight: 1 }] },
    ],
    ["with arrays", '"variants":[{"key":"a","weight":1}],"variants":[]', { variants: [] }],
  ])("has its last value: %s", async (_, members, expected) => {
    const { id, body } = uniqueExperiment();
    const response = await put(id, `${JSON.stringify(body).slice(0, -1)},${members}}`);
    expect(response.status).toBe(201);
    expect(response.json).toMatchObject(expected);
  });

  it("is rejected if its last value is invalid", async () => {
    const { id, body } = uniqueExperiment();
    expectProblem(await put(id, `${JSON.stringify(body).slice(0, -1)},"name":"first","name":1}`), 400);
    expectProblem(await sendWebhook('{"environment_key":"known","environment_key":null}'), 400);
  });

  it("has its last value in a webhook", async () => {
    expect((await sendWebhook('{"environment_key":"known","environment_key":"unknown"}')).json).toEqual(NO_MATCHES);
  });
});

describe("a key of Object.prototype", () => {
  it.each(["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"])(
    "is rejected as unknown: %s",
    async (key) => {
      const { id, body } = uniqueExperiment();
      const member = `"${key}":{"name":"x"}`;
      const atTop = await put(id, `${JSON.stringify(body).slice(0, -1)},${member}}`);
      expectProblem(atTop, 400);
      expect(atTop.json.errors).toEqual([{ path: key, message: expect.any(String) }]);
      const inVariant = await put(id, { ...body, variants: [JSON.parse(`{"key":"a","weight":1,${member}}`)] });
      expect(inVariant.json.errors).toEqual([{ path: `variants.0.${key}`, message: expect.any(String) }]);
      expectProblem(await sendWebhook(`{"environment_key":"known",${member}}`), 400);
    },
  );

  it.each(["__proto__", "constructor"])("gives a Flagsmith webhook no inherited fields: %s", async (key) => {
    const state = '{"new_state":{"feature":{"name":"known"}}}';
    expectProblem(await sendFlagsmith(`{"event_type":"FLAG_UPDATED","data":{"${key}":${state}}}`, "known"), 400);
    expectProblem(await sendFlagsmith(`{"${key}":{"event_type":"FLAG_UPDATED"},"data":${state}}`, "known"), 400);
  });
});

describe("a weight", () => {
  it.each([
    ["1e308", 1e308],
    ["5e-324", 5e-324],
    ["-0", 0],
    ["-1e-400", 0],
    ["9007199254740993", 9007199254740992],
    [`0.${"1".repeat(2000)}`, 1 / 9],
    ["1E+2", 100],
  ])("of %s is stored as the nearest double", async (weight, stored) => {
    const { id, body } = uniqueExperiment();
    const variants = `[{"key":"a","weight":${weight}}]`;
    const response = await put(id, `${JSON.stringify(body).slice(0, -1)},"variants":${variants}}`);
    expect(response.status).toBe(201);
    expect(response.json.variants).toEqual([{ key: "a", weight: stored }]);
    expect((await worker.call("GET", `/v1/experiments/${id}`)).json.variants).toEqual([{ key: "a", weight: stored }]);
  });

  it.each(["1e400", "1".repeat(400), "-1e308", "-5e-324", "-9007199254740993"])("of %s is rejected", async (weight) => {
    const { id, body } = uniqueExperiment();
    const response = await put(id, `${JSON.stringify(body).slice(0, -1)},"variants":[{"key":"a","weight":${weight}}]}`);
    expect(response.json.errors).toEqual([{ path: "variants.0.weight", message: expect.any(String) }]);
  });
});

describe("a string in a webhook", () => {
  const flagUpdated = (name: string) => ({ event_type: "FLAG_UPDATED", data: { new_state: { feature: { name } } } });

  it("matches nothing if it contains NUL, even where it would match without", async () => {
    for (const text of ["known\0", "known\0x", "\0known", "\0"]) {
      expect((await sendWebhook({ environment_key: text })).json).toEqual(NO_MATCHES);
      expect((await sendWebhook({ environment_key: "known", feature_name: text })).json).toEqual(NO_MATCHES);
      expect((await sendFlagsmith(flagUpdated(text), "known")).json).toEqual(NO_MATCHES);
      const query = encodeURIComponent(text);
      expect((await sendFlagsmith(flagUpdated("known"), query)).json).toEqual(NO_MATCHES);
      const list = await worker.call("GET", `/v1/experiments?environment_key=${query}`);
      expect(list.json).toEqual({ experiments: [], next_cursor: null });
      expectProblem(await sendWebhook({ experiment_id: `existing${text}` }), 400);
    }
    expect((await sendWebhook({ environment_key: "known" })).json.skipped).toHaveLength(1);
  });

  it.each(["\ud83e", "a\udd8a", "\udd8a\ud83e"])("is rejected with a lone surrogate: %j", async (text) => {
    expectProblem(await sendWebhook({ environment_key: text }), 400);
    expectProblem(await sendWebhook({ environment_key: "known", feature_name: text }), 400);
    expectProblem(await sendFlagsmith(flagUpdated(text)), 400);
    const { id, body } = uniqueExperiment();
    expectProblem(await put(id, { ...body, feature_name: text }), 400);
  });

  it("may be long, next to deep nesting in fields that are not read", async () => {
    const long = "x".repeat(1_000_000);
    expect((await sendWebhook({ environment_key: long })).json).toEqual(NO_MATCHES);
    expect((await sendWebhook({ environment_key: long.slice(9), feature_name: "x" })).json).toEqual(NO_MATCHES);
    expect((await sendFlagsmith(flagUpdated(long))).json).toEqual(NO_MATCHES);
    const deep = nested("[", "]", DEPTH);
    const event = await sendFlagsmith(`{"event_type":"AUDIT_LOG_CREATED","data":${deep}}`);
    expect([event.status, event.json]).toEqual([202, NO_MATCHES]);
    expectProblem(await sendFlagsmith(`{"event_type":"FLAG_UPDATED","data":${deep}}`), 400);
  });
});
