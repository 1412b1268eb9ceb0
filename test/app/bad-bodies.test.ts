import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Operation, operationsOf } from "../support/openapi-requests.ts";
import { type SignatureHeader, sign } from "../support/sign.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, startWorker, type TestWorker } from "../support/worker.ts";

const JSON_TYPE = "application/json";
const STANDARD = "webhook-signature";
const FLAGSMITH = "x-flagsmith-signature";

let worker: TestWorker;
/** Whatever takes JSON, by the document. */
let takers: Operation[];
beforeAll(async () => {
  worker = await startWorker((await createWarehouse()).settings);
  const operations = operationsOf((await worker.call("GET", "/openapi.json")).json);
  takers = operations.filter(({ body }) => body?.mediaType === JSON_TYPE);
  expect(takers.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      "PUT /v1/experiments/{id}",
      "POST /webhooks/refresh",
      "POST /webhooks/flagsmith/{environment_key}",
    ]),
  );
  await put("bystander", { environment_key: "nul", feature_name: "nul" });
});
afterAll(() => worker.stop());

type Sent = string | Uint8Array<ArrayBuffer>;

async function send(method: string, path: string, body: Sent, type: string, signature: SignatureHeader | null) {
  const response = await worker.fetch(path, {
    method,
    headers: {
      Authorization: `Bearer ${ADMIN}`,
      ...(type === "" ? {} : { "Content-Type": type }),
      ...(signature === null ? {} : sign(signature, body)),
    },
    // Bytes, because a text would be sent with a type of its own.
    body: typeof body === "string" ? new TextEncoder().encode(body) : body,
  });
  const text = await response.text();
  return { status: response.status, type: response.headers.get("Content-Type"), text, json: JSON.parse(text) };
}

const textOf = (body: unknown) => (typeof body === "string" ? body : JSON.stringify(body));
const put = (id: string, body: unknown) => send("PUT", `/v1/experiments/${id}`, textOf(body), JSON_TYPE, null);
const hint = (body: unknown) => send("POST", "/webhooks/refresh", textOf(body), JSON_TYPE, STANDARD);
const flagsmith = (body: unknown, environment = "nobody") =>
  send("POST", `/webhooks/flagsmith/${environment}`, textOf(body), JSON_TYPE, FLAGSMITH);

const NOTHING = { accepted: [], skipped: [] };

let made = 0;
/** An id and a body that no other test uses. */
function fresh(more: object = {}) {
  made += 1;
  return { id: `body-${made}`, body: { environment_key: "bodies", feature_name: `feature-${made}`, ...more } };
}

function expectProblem(answer: Awaited<ReturnType<typeof send>>, ...statuses: number[]) {
  expect(statuses).toContain(answer.status);
  expect(answer.type).toMatch(/^application\/problem\+json\b/);
  expect(answer.json).toMatchObject({ status: answer.status, title: expect.any(String), detail: expect.any(String) });
}

/** Sends it to all that takes JSON; nobody does. */
async function expectRefusedByAll(body: Sent, type: string, ...statuses: number[]) {
  const before = (await worker.call("GET", "/v1/experiments?limit=200")).text;
  for (const { method, template, parameters } of takers) {
    const names = parameters.map(({ name }) => name.toLowerCase());
    const signature = [STANDARD, FLAGSMITH].find((name): name is SignatureHeader => names.includes(name)) ?? null;
    const path = template.replaceAll(/\{\w+\}/g, "refused");
    expectProblem(await send(method, path, body, type, signature), ...statuses);
  }
  expect((await worker.call("GET", "/v1/experiments?limit=200")).text).toBe(before);
  expect(worker.logs().filter(({ event }) => event === "request.failed")).toEqual([]);
}

const DEEP = 100_000;
const nested = (open: string, close: string, depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`;

describe("refused by whatever takes JSON", () => {
  it.each<[what: string, body: string]>([
    ["lists in lists, 100,000 deep", nested("[", "]", DEEP)],
    ["lists in lists that never close", "[".repeat(DEEP)],
    ["objects in objects, 100,000 deep", nested('{"a":', "}", DEEP)],
    ["objects in objects that never close", '{"a":'.repeat(DEEP)],
    ["objects in objects, as deep as the limit lets in", nested('{"a":', "}", 10_000)],
    ["lists in lists, as deep as the limit lets in", nested("[", "]", 32_000)],
    ["a list of 30,000 nulls", `[${"null,".repeat(10_000)}null]`],
    [
      "an object of 5,000 keys",
      JSON.stringify(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, 0]))),
    ],
    ["a text of 1 MiB", JSON.stringify("x".repeat(1024 * 1024))],
    ["a key of 1 MiB", JSON.stringify({ ["x".repeat(1024 * 1024)]: 1 })],
  ])("%s", (_, body) => expectRefusedByAll(body, JSON_TYPE, 400, 413));

  it.each<[what: string, body: string]>([
    ["nothing", ""],
    ["white space", " \t\r\n "],
    ["1e400", "1e400"],
    ["-0", "-0"],
    ["a number of 401 digits", `1${"0".repeat(400)}`],
    ["9007199254740993", "9007199254740993"],
    ["NaN", "NaN"],
    ["Infinity", "Infinity"],
    ["a comment", "/* */ {}"],
    ["a comma too many", '{"environment_key":"a",}'],
    ["a byte order mark", '\ufeff{"environment_key":"a"}'],
    ["NUL after the object", '{"environment_key":"a"}\0'],
    ["a raw line break in a text", '{"environment_key":"a\nb"}'],
    ["half an escape", '{"environment_key":"\\ud8'],
    ["__proto__", '{"__proto__":{"environment_key":"a","feature_name":"b","event_type":"X"}}'],
    ["constructor", '{"constructor":{"prototype":{"environment_key":"a"}}}'],
  ])("%s", (_, body) => expectRefusedByAll(body, JSON_TYPE, 400));

  // A signature is made over text: of what is none, none is right.
  it.each<[what: string, ...bytes: number[]]>([
    ["a slash in two bytes", 0xc0, 0xaf],
    ["NUL in two bytes", 0xc0, 0x80],
    ["a surrogate in three bytes", 0xed, 0xa0, 0x80],
    ["a character beyond U+10FFFF", 0xf4, 0x90, 0x80, 0x80],
    ["a cut character", 0xe2, 0x82],
    ["a lone continuation", 0x80],
    ["bytes that are in no UTF-8", 0xff, 0xfe, 0xfd],
    ["Latin-1", 0xe9],
  ])("bytes that are not UTF-8, in a body that is right else: %s", (_, ...bytes) => {
    const [before, after] = ['{"feature_name":"f","environment_key":"', '"}'].map((text) => [...Buffer.from(text)]);
    return expectRefusedByAll(Uint8Array.of(...(before ?? []), ...bytes, ...(after ?? [])), JSON_TYPE, 400, 401);
  });

  it.each<[what: string, bytes: Buffer]>([
    ["UTF-16", Buffer.from("\ufeff{}", "utf16le")],
    ["UTF-16 without a byte order mark", Buffer.from("{}", "utf16le")],
    ["a cut character at the end", Buffer.of(0x7b, 0x7d, 0xe2, 0x82)],
  ])("bytes that are not UTF-8: %s", (_, bytes) => expectRefusedByAll(Uint8Array.from(bytes), JSON_TYPE, 400, 401));

  it.each([
    ...["", "text/json", "application/problem+json", "application/jsonl", "application/json,text/plain", "json"],
    ...["text/plain", "application/json/x", "application", "*/*", "application/ json", "multipart/form-data"],
  ])("JSON as '%s', with 415", (type) => expectRefusedByAll("{}", type, 415));
});

describe("a Content-Type", () => {
  it.each([
    "APPLICATION/JSON",
    "application/json;",
    "application/json ; charset=UTF-8",
    "application/json; charset=utf-16",
    "application/json; boundary=x; q=0.1",
  ])("of %s is JSON, and JSON is UTF-8 whatever else it says", async (type) => {
    const { id, body } = fresh({ name: "é" });
    const answer = await send("PUT", `/v1/experiments/${id}`, JSON.stringify(body), type, null);
    expect([answer.status, answer.json.name]).toEqual([201, "é"]);
  });
});

describe("a key that comes twice", () => {
  it.each([
    ["at the top", '"name":"first","name":"last"', { name: "last" }],
    ["written differently", '"name":"first","n\\u0061me":"last"', { name: "last" }],
    ["with a value that would be refused first", '"name":1,"name":"last"', { name: "last" }],
    [
      "in a variant",
      '"variants":[{"key":"first","weight":1,"key":"last"}]',
      { variants: [{ key: "last", weight: 1 }] },
    ],
    ["as a list", '"variants":[{"key":"a","weight":1}],"variants":[]', { variants: [] }],
  ])("counts as it comes last: %s", async (_, members, expected) => {
    const { id, body } = fresh();
    const answer = await put(id, `${JSON.stringify(body).slice(0, -1)},${members}}`);
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject(expected);
  });

  it("is refused if it is wrong as it comes last", async () => {
    const { id, body } = fresh();
    expectProblem(await put(id, `${JSON.stringify(body).slice(0, -1)},"name":"first","name":1}`), 400);
    expectProblem(await hint('{"environment_key":"nul","environment_key":null}'), 400);
  });

  it("counts as it comes last in a webhook, too", async () => {
    expect((await hint('{"environment_key":"nul","environment_key":"nobody"}')).json).toEqual(NOTHING);
  });
});

describe("a key of Object's own", () => {
  it.each(["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"])(
    "is unknown like any other: %s",
    async (key) => {
      const { id, body } = fresh();
      const named = `"${key}":{"name":"x"}`;
      const top = await put(id, `${JSON.stringify(body).slice(0, -1)},${named}}`);
      expectProblem(top, 400);
      expect(top.json.errors).toEqual([{ path: key, message: expect.any(String) }]);
      const inVariant = await put(id, { ...body, variants: [JSON.parse(`{"key":"a","weight":1,${named}}`)] });
      expect(inVariant.json.errors).toEqual([{ path: `variants.0.${key}`, message: expect.any(String) }]);
      expectProblem(await hint(`{"environment_key":"nul",${named}}`), 400);
    },
  );

  it.each(["__proto__", "constructor"])("gives a webhook of Flagsmith nothing to inherit: %s", async (key) => {
    const state = '{"new_state":{"feature":{"name":"nul"}}}';
    expectProblem(await flagsmith(`{"event_type":"FLAG_UPDATED","data":{"${key}":${state}}}`, "nul"), 400);
    expectProblem(await flagsmith(`{"${key}":{"event_type":"FLAG_UPDATED"},"data":${state}}`, "nul"), 400);
  });
});

describe("a number", () => {
  it.each([
    ["1e308", 1e308],
    ["5e-324", 5e-324],
    ["-0", 0],
    ["-1e-400", 0],
    ["9007199254740993", 9007199254740992],
    [`0.${"1".repeat(2000)}`, 1 / 9],
    ["1E+2", 100],
  ])("of %s is kept as the nearest double", async (weight, kept) => {
    const { id, body } = fresh();
    const variants = `[{"key":"a","weight":${weight}}]`;
    const answer = await put(id, `${JSON.stringify(body).slice(0, -1)},"variants":${variants}}`);
    expect(answer.status).toBe(201);
    expect(answer.json.variants).toEqual([{ key: "a", weight: kept }]);
    expect((await worker.call("GET", `/v1/experiments/${id}`)).json.variants).toEqual([{ key: "a", weight: kept }]);
  });

  it.each(["1e400", "1".repeat(400), "-1e308", "-5e-324", "-9007199254740993"])("of %s is refused", async (weight) => {
    const { id, body } = fresh();
    const answer = await put(id, `${JSON.stringify(body).slice(0, -1)},"variants":[{"key":"a","weight":${weight}}]}`);
    expect(answer.json.errors).toEqual([{ path: "variants.0.weight", message: expect.any(String) }]);
  });
});

describe("a webhook's text", () => {
  const updated = (name: string) => ({ event_type: "FLAG_UPDATED", data: { new_state: { feature: { name } } } });

  it("with NUL names nobody, not whom it would name without", async () => {
    for (const text of ["nul\0", "nul\0x", "\0nul", "\0"]) {
      expect((await hint({ environment_key: text })).json).toEqual(NOTHING);
      expect((await hint({ environment_key: "nul", feature_name: text })).json).toEqual(NOTHING);
      expect((await flagsmith(updated(text), "nul")).json).toEqual(NOTHING);
      const query = encodeURIComponent(text);
      expect((await flagsmith(updated("nul"), query)).json).toEqual(NOTHING);
      const list = await worker.call("GET", `/v1/experiments?environment_key=${query}`);
      expect(list.json).toEqual({ experiments: [], next_cursor: null });
      expectProblem(await hint({ experiment_id: `bystander${text}` }), 400);
    }
    expect((await hint({ environment_key: "nul" })).json.skipped).toHaveLength(1);
  });

  it.each(["\ud83e", "a\udd8a", "\udd8a\ud83e"])("with half a surrogate pair is refused: %j", async (text) => {
    expectProblem(await hint({ environment_key: text }), 400);
    expectProblem(await hint({ environment_key: "nul", feature_name: text }), 400);
    expectProblem(await flagsmith(updated(text)), 400);
    const { id, body } = fresh();
    expectProblem(await put(id, { ...body, feature_name: text }), 400);
  });

  it("may be long, and deep where nobody looks", async () => {
    const long = "x".repeat(1_000_000);
    expect((await hint({ environment_key: long })).json).toEqual(NOTHING);
    expect((await hint({ environment_key: long.slice(9), feature_name: "x" })).json).toEqual(NOTHING);
    expect((await flagsmith(updated(long))).json).toEqual(NOTHING);
    const deep = nested("[", "]", DEEP);
    const event = await flagsmith(`{"event_type":"AUDIT_LOG_CREATED","data":${deep}}`);
    expect([event.status, event.json]).toEqual([202, NOTHING]);
    expectProblem(await flagsmith(`{"event_type":"FLAG_UPDATED","data":${deep}}`), 400);
  });
});
