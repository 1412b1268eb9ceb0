import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { createApp } from "../../src/app.ts";
import { appDeps, emptyDatabase } from "../support/app-deps.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { READER, startWorker, type TestWorker, until, WEBHOOK_SECRET } from "../support/worker.ts";

let worker: TestWorker;
/** The document as the Worker serves it. */
let document: z.output<typeof documentShape>;
/** The same, with every $ref replaced by what it points to. */
let resolved: z.output<typeof documentShape>;
beforeAll(async () => {
  const warehouse = await createWarehouse();
  await warehouse.insert(
    ["ann", "bob", "cid"].map((identifier, index) => ({
      environment_key: "env",
      feature_name: "button",
      identifier,
      value: index === 0 ? "control" : "treatment",
      timestamp: Date.now() - HOUR,
    })),
  );
  worker = await startWorker(warehouse.settings);
  const { json } = await worker.call("GET", "/openapi.json", undefined, { Authorization: "" });
  document = documentShape.parse(json);
  resolved = documentShape.parse(resolve(json, json));
});
afterAll(() => worker.stop());

const HOUR = 3_600_000;
const fromNow = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();

const jsonObject = z.record(z.string(), z.unknown());
const content = z.record(z.string(), z.object({ schema: jsonObject.default({}) }));
const parameter = z.object({ name: z.string(), in: z.enum(["path", "query", "header"]), schema: jsonObject });
const operation = z.object({
  summary: z.string().min(1),
  security: z.array(jsonObject),
  parameters: z.array(parameter).default([]),
  requestBody: z.object({ required: z.literal(true), content }).optional(),
  responses: z.record(z.string(), z.object({ description: z.string().min(1), content: content.optional() })),
});
const methods = { get: operation, put: operation, post: operation, delete: operation };
/** As much of OpenAPI 3.1 as is used: https://spec.openapis.org/oas/v3.1.0 */
const documentShape = z.object({
  openapi: z.string(),
  info: z.object({ title: z.string().min(1), version: z.string().min(1) }),
  paths: z.record(
    z.string().startsWith("/"),
    z.strictObject({ ...z.strictObject(methods).partial().shape, parameters: z.array(parameter).optional() }),
  ),
  components: z.object({ schemas: z.record(z.string(), jsonObject), securitySchemes: jsonObject }),
});
type Operation = z.output<typeof operation>;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A copy without references. Throws if one points nowhere. */
function resolve(node: unknown, root: unknown): unknown {
  if (Array.isArray(node)) return node.map((item) => resolve(item, root));
  if (!isObject(node)) return node;
  const reference = node["$ref"];
  if (reference === undefined)
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value, root)]));
  let target: unknown = root;
  for (const step of String(reference).replace(/^#\//, "").split("/"))
    target = isObject(target) ? target[step] : undefined;
  if (target === undefined) throw new Error(`${reference} points nowhere`);
  return resolve(target, root);
}

/** Makes an object schema refuse what it does not list: an answer with more than is documented is not documented. */
function strict(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(strict);
  if (!isObject(node)) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, strict(value)]));
  return isObject(node["properties"]) ? { additionalProperties: false, ...copy } : copy;
}

/** What JSON Schema says is wrong with a value. */
function complaints(schema: Record<string, unknown>, value: unknown): string[] {
  const parsed = z.fromJSONSchema(schema).safeParse(value);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

/** What is said of a `METHOD /path/{parameter}`. */
function operationOf(call: string): Operation {
  const [method = "", path = ""] = call.split(" ");
  const found = Object.entries(resolved.paths[path] ?? {}).find(([key]) => key === method.toLowerCase())?.[1];
  if (found === undefined || Array.isArray(found)) throw new Error(`${call} is not documented`);
  return found;
}

/** `METHOD /path/{parameter}` of all that is documented. */
function documented(): string[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((key) => key !== "parameters")
      .map((method) => `${method.toUpperCase()} ${path}`),
  );
}

const promised = {
  anyone: ["GET /healthz", "GET /openapi.json", "GET /docs"],
  read: [
    "GET /v1/experiments",
    "GET /v1/experiments/{id}",
    "GET /v1/experiments/{id}/exposures",
    "GET /v1/experiments/{id}/exposures.svg",
    "GET /v1/experiments/{id}/exposures.csv",
  ],
  write: [
    "PUT /v1/experiments/{id}",
    "DELETE /v1/experiments/{id}",
    "POST /v1/experiments/{id}/exposures/rebuild",
    "POST /v1/experiments/{id}/exposures/refresh",
    "GET /v1/warehouse/check",
  ],
  admin: ["POST /v1/api-keys", "GET /v1/api-keys", "DELETE /v1/api-keys/{id}", "GET /v1/export", "POST /v1/import"],
  signature: ["POST /webhooks/refresh", "POST /webhooks/flagsmith/{environment_key}"],
};

/** What people look at is not part of the API. */
const PAGES = /^\/($|login|logout|experiments|assets)/;

describe("the document at /openapi.json", () => {
  it("is OpenAPI 3.1, for anyone", () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  });

  it("has no reference that points nowhere", () => {
    expect(JSON.stringify(document)).toContain('"$ref"');
    expect(JSON.stringify(resolved)).not.toContain('"$ref"');
  });

  it("has every route of the app, and no other", () => {
    const app = createApp(appDeps({}, emptyDatabase));
    const served = app.routes
      .filter(({ method, path }) => method !== "ALL" && !PAGES.test(path))
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    expect(documented().sort()).toEqual([...new Set(served)].sort());
  });

  it.each(Object.values(promised).flat())("has %s", (call) => {
    expect(documented()).toContain(call);
  });

  it("says who may do what", () => {
    const bearer = { bearer: [] };
    const securityOf = (call: string) => operationOf(call).security;
    for (const call of [...promised.anyone, ...promised.signature].filter((call) => documented().includes(call)))
      expect(securityOf(call), call).toEqual([]);
    for (const call of promised.write) expect(securityOf(call), call).toEqual([bearer]);
    for (const call of promised.admin) expect(securityOf(call), call).toEqual([{ bearer: ["admin"] }]);
    for (const call of promised.read) expect(securityOf(call), call).toContainEqual(bearer);
    expect(document.components.securitySchemes).toEqual({ bearer: expect.objectContaining({ scheme: "bearer" }) });
  });

  it("declares the parameters in its paths, and the query of the list", () => {
    for (const [path, item] of Object.entries(document.paths)) {
      const declared = (item.parameters ?? []).filter((each) => each.in === "path").map(({ name }) => name);
      expect(declared, path).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    }
    const query = operationOf("GET /v1/experiments").parameters.map(({ name }) => name);
    expect(query.sort()).toEqual(["cursor", "environment_key", "limit", "status"]);
  });

  it("documents bodies as they are accepted", () => {
    const schemaFor = (call: string) => operationOf(call).requestBody?.content["application/json"]?.schema ?? {};
    const experiment = schemaFor("PUT /v1/experiments/{id}");
    const least = { environment_key: "env", feature_name: "button" };
    const most = {
      ...least,
      name: "Button",
      variants: [{ key: "a", weight: 0.5 }],
      started_at: "2026-06-01T00:00:00.000Z",
      ended_at: null,
    };
    for (const body of [least, most]) expect(complaints(experiment, body)).toEqual([]);
    for (const body of [{}, { ...least, id: "x" }, { ...most, started_at: "yesterday" }, { ...most, variants: ["a"] }])
      expect(complaints(experiment, body)).not.toEqual([]);

    const refreshHint = schemaFor("POST /webhooks/refresh");
    for (const body of [{ experiment_id: "a" }, { environment_key: "e" }, least])
      expect(complaints(refreshHint, body)).toEqual([]);
    for (const body of [{}, { feature_name: "f" }, { experiment_id: "a", environment_key: "e" }])
      expect(complaints(refreshHint, body)).not.toEqual([]);
  });
});

describe("what the Worker answers is documented", () => {
  const times = { started_at: fromNow(-3 * HOUR), ended_at: fromNow(-2000) };
  const button = { environment_key: "env", feature_name: "button", variants: [{ key: "control", weight: 1 }] };
  const reader = { Authorization: `Bearer ${READER}` };
  const signed = { "webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": `v1,${btoa(WEBHOOK_SECRET)}` };

  beforeAll(async () => {
    await worker.call("PUT", "/v1/experiments/button", { ...button, started_at: fromNow(-2 * HOUR) });
    await worker.call("PUT", "/v1/experiments/daily", {
      environment_key: "env",
      feature_name: "daily",
      started_at: fromNow(-200 * HOUR),
    });
    for (const id of ["draft", "doomed", "edited"])
      await worker.call("PUT", `/v1/experiments/${id}`, { environment_key: "env", feature_name: id });
    await until(
      () => Promise.all(["button", "daily"].map(worker.exposures)),
      (answers) => answers.every(({ exposures, refresh_requested_at }) => exposures && !refresh_requested_at),
    );
  });

  type Call = {
    what: string;
    status: number;
    method: string;
    path: string;
    at: string;
    body?: unknown;
    headers?: Record<string, string>;
  };
  const one = "/v1/experiments/{id}";
  const exposures = `${one}/exposures`;
  const calls: Call[] = [
    { what: "health", status: 200, method: "GET", path: "/healthz", at: "/healthz" },
    { what: "the document", status: 200, method: "GET", path: "/openapi.json", at: "/openapi.json" },
    {
      what: "a new one",
      status: 201,
      method: "PUT",
      path: one,
      at: "/v1/experiments/new",
      body: { ...button, ...times },
    },
    {
      what: "a replaced one",
      status: 200,
      method: "PUT",
      path: one,
      at: "/v1/experiments/edited",
      body: { environment_key: "env", feature_name: "edited", name: "Edited", variants: [{ key: "a", weight: 0.5 }] },
    },
    { what: "a bad one", status: 400, method: "PUT", path: one, at: "/v1/experiments/bad", body: { colour: "red" } },
    { what: "broken JSON", status: 400, method: "PUT", path: one, at: "/v1/experiments/bad", body: "{" },
    { what: "no right", status: 403, method: "PUT", path: one, at: "/v1/experiments/bad", body: {}, headers: reader },
    {
      what: "no token",
      status: 401,
      method: "PUT",
      path: one,
      at: "/v1/experiments/bad",
      body: {},
      headers: { Authorization: "" },
    },
    { what: "a taken feature", status: 409, method: "PUT", path: one, at: "/v1/experiments/second", body: button },
    { what: "too long", status: 413, method: "PUT", path: one, at: "/v1/experiments/long", body: "x".repeat(65_537) },
    {
      what: "no JSON",
      status: 415,
      method: "PUT",
      path: one,
      at: "/v1/experiments/text",
      body: "{}",
      headers: { "Content-Type": "text/plain" },
    },
    { what: "one", status: 200, method: "GET", path: one, at: "/v1/experiments/button" },
    { what: "a draft", status: 200, method: "GET", path: one, at: "/v1/experiments/draft" },
    { what: "none", status: 404, method: "GET", path: one, at: "/v1/experiments/nothing-here" },
    { what: "all", status: 200, method: "GET", path: "/v1/experiments", at: "/v1/experiments" },
    { what: "a page", status: 200, method: "GET", path: "/v1/experiments", at: "/v1/experiments?limit=1" },
    { what: "no page", status: 400, method: "GET", path: "/v1/experiments", at: "/v1/experiments?limit=0" },
    { what: "hours", status: 200, method: "GET", path: exposures, at: "/v1/experiments/button/exposures" },
    { what: "days", status: 200, method: "GET", path: exposures, at: "/v1/experiments/daily/exposures" },
    { what: "not computed", status: 200, method: "GET", path: exposures, at: "/v1/experiments/draft/exposures" },
    { what: "none", status: 404, method: "GET", path: exposures, at: "/v1/experiments/nothing-here/exposures" },
    {
      what: "unchanged",
      status: 304,
      method: "GET",
      path: exposures,
      at: "/v1/experiments/button/exposures",
      headers: { "If-None-Match": "*" },
    },
    {
      what: "a call",
      status: 202,
      method: "POST",
      path: `${exposures}/refresh`,
      at: "/v1/experiments/daily/exposures/refresh",
    },
    {
      what: "the next call",
      status: 429,
      method: "POST",
      path: `${exposures}/refresh`,
      at: "/v1/experiments/daily/exposures/refresh",
    },
    {
      what: "a draft's",
      status: 409,
      method: "POST",
      path: `${exposures}/refresh`,
      at: "/v1/experiments/draft/exposures/refresh",
    },
    {
      what: "nobody's",
      status: 404,
      method: "POST",
      path: `${exposures}/refresh`,
      at: "/v1/experiments/no/exposures/refresh",
    },
    { what: "the check", status: 200, method: "GET", path: "/v1/warehouse/check", at: "/v1/warehouse/check" },
    {
      what: "no right",
      status: 403,
      method: "GET",
      path: "/v1/warehouse/check",
      at: "/v1/warehouse/check",
      headers: reader,
    },
    {
      what: "forged",
      status: 401,
      method: "POST",
      path: "/webhooks/refresh",
      at: "/webhooks/refresh",
      body: {},
      headers: signed,
    },
    {
      what: "unsigned",
      status: 401,
      method: "POST",
      path: "/webhooks/flagsmith/{environment_key}",
      at: "/webhooks/flagsmith/env",
      body: {},
    },
    {
      what: "a key",
      status: 201,
      method: "POST",
      path: "/v1/api-keys",
      at: "/v1/api-keys",
      body: { name: "CI", role: "write", environment_key: "env", expires_at: fromNow(HOUR) },
    },
    {
      what: "nothing",
      status: 200,
      method: "POST",
      path: "/v1/import",
      at: "/v1/import",
      body: "",
      headers: { "Content-Type": "application/jsonl" },
    },
    { what: "no JSON Lines", status: 415, method: "POST", path: "/v1/import", at: "/v1/import", body: "" },
    {
      what: "a broken line",
      status: 400,
      method: "POST",
      path: "/v1/import",
      at: "/v1/import",
      body: "{",
      headers: { "Content-Type": "application/jsonl" },
    },
    { what: "no key", status: 400, method: "POST", path: "/v1/api-keys", at: "/v1/api-keys", body: { role: "admin" } },
    { what: "all", status: 200, method: "GET", path: "/v1/api-keys", at: "/v1/api-keys" },
    { what: "no right", status: 403, method: "GET", path: "/v1/api-keys", at: "/v1/api-keys", headers: reader },
    { what: "none", status: 404, method: "DELETE", path: "/v1/api-keys/{id}", at: "/v1/api-keys/nothing-here" },
    { what: "gone", status: 204, method: "DELETE", path: one, at: "/v1/experiments/doomed" },
    { what: "none", status: 404, method: "DELETE", path: one, at: "/v1/experiments/nothing-here" },
  ];

  it.each(calls)("$status to $method $path ($what)", async ({ status, method, path, at, body, headers }) => {
    const answer = await worker.call(method, at, body, headers);
    expect(answer.status).toBe(status);
    const response = operationOf(`${method} ${path}`).responses[status];
    expect(response, "is in responses").toBeDefined();
    const [type, media] = Object.entries(response?.content ?? {})[0] ?? [];
    if (media === undefined) return expect(answer.text).toBe("");
    expect(answer.headers.get("Content-Type")?.split(";")[0]).toBe(type);
    expect(complaints(media.schema, answer.json)).toEqual([]);
    const closed = strict(media.schema);
    if (isObject(closed)) expect(complaints(closed, answer.json), "has nothing undocumented").toEqual([]);
  });

  it("200 to GET /v1/export, line by line", async () => {
    const { text } = await worker.call("GET", "/v1/export");
    const media = operationOf("GET /v1/export").responses["200"]?.content?.["application/jsonl"];
    const lines = text.trim().split("\n");
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) expect(complaints(media?.schema ?? { not: {} }, JSON.parse(line))).toEqual([]);
  });

  it("202 to POST /webhooks/refresh", async () => {
    const body = JSON.stringify({ environment_key: "env" });
    const answer = await worker.call("POST", "/webhooks/refresh", body, {
      ...signed,
      "webhook-timestamp": String(Math.floor(Date.now() / 1000)),
      "webhook-signature": new Webhook(WEBHOOK_SECRET).sign("1", new Date(), body),
    });
    expect(answer.status).toBe(202);
    expect([answer.json.accepted.length > 0, answer.json.skipped.length > 0]).toEqual([true, true]);
    const media = operationOf("POST /webhooks/refresh").responses["202"]?.content?.["application/json"];
    expect(complaints(media?.schema ?? { not: {} }, answer.json)).toEqual([]);
  });
});
