import createClient from "openapi-fetch";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import type { paths } from "../../dist/openapi/client.ts";
import { createApp } from "../../src/app.ts";
import { appDeps, emptyDatabase } from "../support/app-deps.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, READER, startWorker, type TestWorker, until, WEBHOOK_SECRET } from "../support/worker.ts";

let worker: TestWorker;
/** The document as served. */
let document: z.output<typeof documentShape>;
/** The document with every $ref replaced by its target. */
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
  const hostile = { environment_key: HOSTILE, feature_name: HOSTILE, identifier: "ann", timestamp: Date.now() - HOUR };
  await warehouse.insert([
    { ...hostile, value: HOSTILE },
    { ...hostile, value: "9.5", event: "purchase" },
    { ...hostile, value: "", event: "click", environment_key: "env" },
  ]);
  worker = await startWorker(warehouse.settings);
  const { json } = await worker.call("GET", "/openapi.json", undefined, { Authorization: "" });
  document = documentShape.parse(json);
  resolved = documentShape.parse(resolve(json, json));
});
afterAll(() => worker.stop());

const HOUR = 3_600_000;
const HOSTILE = `'"\\<b>&{x:String}🧪`;
const fromNow = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();

const jsonObject = z.record(z.string(), z.unknown());
const content = z.record(z.string(), z.object({ schema: jsonObject.default({}) }));
const parameter = z.object({ name: z.string(), in: z.enum(["path", "query", "header"]), schema: jsonObject });
const operation = z.object({
  operationId: z.string().regex(/^[a-z][A-Za-z]+$/),
  summary: z.string().min(1),
  security: z.array(jsonObject),
  parameters: z.array(parameter).default([]),
  requestBody: z.object({ required: z.literal(true), content }).optional(),
  responses: z.record(z.string(), z.object({ description: z.string().min(1), content: content.optional() })),
});
const methods = { get: operation, put: operation, post: operation, delete: operation };
/** The part of OpenAPI 3.1 in use: https://spec.openapis.org/oas/v3.1.0 */
const documentShape = z.object({
  openapi: z.string(),
  info: z.object({ title: z.string().min(1), version: z.string().min(1) }),
  paths: z.record(
    z.string().startsWith("/"),
    z.strictObject({ ...z.strictObject(methods).partial().shape, parameters: z.array(parameter).optional() }),
  ),
  webhooks: z.record(z.string(), z.object({ post: operation })),
  components: z.object({ schemas: z.record(z.string(), jsonObject), securitySchemes: jsonObject }),
});
type Operation = z.output<typeof operation>;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Copies a node and replaces its references. Throws if a target is missing. */
function resolve(node: unknown, root: unknown): unknown {
  if (Array.isArray(node)) return node.map((item) => resolve(item, root));
  if (!isObject(node)) return node;
  const reference = node["$ref"];
  if (reference === undefined)
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value, root)]));
  let target: unknown = root;
  for (const step of String(reference).replace(/^#\//, "").split("/"))
    target = isObject(target) ? target[step] : undefined;
  if (target === undefined) throw new Error(`${reference} has no target`);
  return resolve(target, root);
}

/** Makes object schemas reject properties that they do not list, so that a response with undocumented ones fails. */
function strict(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(strict);
  if (!isObject(node)) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, strict(value)]));
  return isObject(node["properties"]) ? { additionalProperties: false, ...copy } : copy;
}

/** Lists where a value violates a JSON Schema. */
function violationsOf(schema: Record<string, unknown>, value: unknown): string[] {
  const parsed = z.fromJSONSchema(schema).safeParse(value);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

/** Finds the operation of a route: `METHOD /path/{parameter}`. */
function operationOf(route: string): Operation {
  const [method = "", path = ""] = route.split(" ");
  const found = Object.entries(resolved.paths[path] ?? {}).find(([key]) => key === method.toLowerCase())?.[1];
  if (found === undefined || Array.isArray(found)) throw new Error(`${route} is not documented`);
  return found;
}

/** Lists the documented routes. */
function documentedRoutes(): string[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((key) => key !== "parameters")
      .map((method) => `${method.toUpperCase()} ${path}`),
  );
}

const routes = {
  anyone: ["GET /healthz", "GET /readyz", "GET /openapi.json", "GET /docs"],
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
    "GET /v1/status",
    "GET /v1/warehouse/check",
    "GET /v1/warehouse/features",
    "GET /v1/warehouse/events",
    "GET /v1/flagsmith/check",
  ],
  admin: [
    "POST /v1/api-keys",
    "GET /v1/api-keys",
    "DELETE /v1/api-keys/{id}",
    "GET /v1/export",
    "POST /v1/import",
    "POST /v1/alerts/test",
  ],
  signature: ["POST /webhooks/refresh", "POST /webhooks/flagsmith/{environment_key}"],
};

/** The pages are not part of the API. */
const PAGES = /^\/($|login|logout|experiments|assets|new|warehouse|api-keys)/;

describe("/openapi.json", () => {
  it("is OpenAPI 3.1, served without a token", () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  });

  it("has a target for every reference", () => {
    expect(JSON.stringify(document)).toContain('"$ref"');
    expect(JSON.stringify(resolved)).not.toContain('"$ref"');
  });

  it("documents every route of the app, and no other", () => {
    const app = createApp(appDeps({}, emptyDatabase));
    const served = app.routes
      .filter(({ method, path }) => method !== "ALL" && !PAGES.test(path))
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    expect(documentedRoutes().sort()).toEqual([...new Set(served)].sort());
  });

  it.each(Object.values(routes).flat())("documents %s", (route) => {
    expect(documentedRoutes()).toContain(route);
  });

  it("states the security of each route", () => {
    const bearer = { bearer: [] };
    const securityOf = (route: string) => operationOf(route).security;
    for (const route of routes.anyone) expect(securityOf(route), route).toEqual([]);
    expect(securityOf("POST /webhooks/refresh")).toEqual([{ standard_webhooks: [] }]);
    expect(securityOf("POST /webhooks/flagsmith/{environment_key}")).toEqual([{ flagsmith: [] }]);
    for (const route of routes.write) expect(securityOf(route), route).toEqual([bearer]);
    for (const route of routes.admin) expect(securityOf(route), route).toEqual([{ bearer: ["admin"] }]);
    for (const route of routes.read) expect(securityOf(route), route).toContainEqual(bearer);
    for (const { post } of Object.values(document.webhooks)) expect(post.security).toEqual([{ standard_webhooks: [] }]);
    expect(document.components.securitySchemes).toEqual({
      bearer: expect.objectContaining({ scheme: "bearer" }),
      standard_webhooks: expect.objectContaining({ in: "header", name: "webhook-signature" }),
      flagsmith: expect.objectContaining({ in: "header", name: "X-Flagsmith-Signature" }),
    });
  });

  it("has a different operationId for every operation", () => {
    const operations = [
      ...documentedRoutes().map(operationOf),
      ...Object.values(document.webhooks).map(({ post }) => post),
    ];
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  });

  it("declares the path parameters, and the query parameters of the list", () => {
    for (const [path, item] of Object.entries(document.paths)) {
      const declared = (item.parameters ?? []).filter((each) => each.in === "path").map(({ name }) => name);
      expect(declared, path).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    }
    const query = operationOf("GET /v1/experiments").parameters.map(({ name }) => name);
    expect(query.sort()).toEqual(["cursor", "environment_key", "limit", "status"]);
  });

  it("has request schemas that match the accepted bodies", () => {
    const schemaFor = (route: string) => operationOf(route).requestBody?.content["application/json"]?.schema ?? {};
    const experiment = schemaFor("PUT /v1/experiments/{id}");
    const minimal = { environment_key: "env", feature_name: "button" };
    const full = {
      ...minimal,
      name: "Button",
      variants: [{ key: "a", weight: 0.5 }],
      started_at: "2026-06-01T00:00:00.000Z",
      ended_at: null,
    };
    for (const body of [minimal, full]) expect(violationsOf(experiment, body)).toEqual([]);
    for (const body of [
      {},
      { ...minimal, id: "x" },
      { ...full, started_at: "yesterday" },
      { ...full, variants: ["a"] },
    ])
      expect(violationsOf(experiment, body)).not.toEqual([]);

    const webhook = schemaFor("POST /webhooks/refresh");
    for (const body of [{ experiment_id: "a" }, { environment_key: "e" }, minimal])
      expect(violationsOf(webhook, body)).toEqual([]);
    for (const body of [{}, { feature_name: "f" }, { experiment_id: "a", environment_key: "e" }])
      expect(violationsOf(webhook, body)).not.toEqual([]);
  });
});

describe("a response of the Worker", () => {
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
      (responses) => responses.every(({ exposures, refresh_requested_at }) => exposures && !refresh_requested_at),
    );
  });

  type Case = {
    label: string;
    status: number;
    method: string;
    path: string;
    url: string;
    body?: unknown;
    headers?: Record<string, string>;
  };
  const byId = "/v1/experiments/{id}";
  const exposures = `${byId}/exposures`;
  const cases: Case[] = [
    { label: "health", status: 200, method: "GET", path: "/healthz", url: "/healthz" },
    { label: "readiness", status: 200, method: "GET", path: "/readyz", url: "/readyz" },
    { label: "the document", status: 200, method: "GET", path: "/openapi.json", url: "/openapi.json" },
    {
      label: "a new experiment",
      status: 201,
      method: "PUT",
      path: byId,
      url: "/v1/experiments/new",
      body: { ...button, feature_name: "new", ...times },
    },
    {
      label: "a replaced experiment",
      status: 200,
      method: "PUT",
      path: byId,
      url: "/v1/experiments/edited",
      body: { environment_key: "env", feature_name: "edited", name: "Edited", variants: [{ key: "a", weight: 0.5 }] },
    },
    {
      label: "an invalid body",
      status: 400,
      method: "PUT",
      path: byId,
      url: "/v1/experiments/bad",
      body: { colour: "red" },
    },
    { label: "malformed JSON", status: 400, method: "PUT", path: byId, url: "/v1/experiments/bad", body: "{" },
    {
      label: "a read-only token",
      status: 403,
      method: "PUT",
      path: byId,
      url: "/v1/experiments/bad",
      body: {},
      headers: reader,
    },
    {
      label: "no token",
      status: 401,
      method: "PUT",
      path: byId,
      url: "/v1/experiments/bad",
      body: {},
      headers: { Authorization: "" },
    },
    {
      label: "a taken feature",
      status: 409,
      method: "PUT",
      path: byId,
      url: "/v1/experiments/second",
      body: { ...button, started_at: fromNow(-HOUR) },
    },
    {
      label: "too large",
      status: 413,
      method: "PUT",
      path: byId,
      url: "/v1/experiments/long",
      body: "x".repeat(65_537),
    },
    {
      label: "not JSON",
      status: 415,
      method: "PUT",
      path: byId,
      url: "/v1/experiments/text",
      body: "{}",
      headers: { "Content-Type": "text/plain" },
    },
    { label: "an experiment", status: 200, method: "GET", path: byId, url: "/v1/experiments/button" },
    { label: "a draft", status: 200, method: "GET", path: byId, url: "/v1/experiments/draft" },
    { label: "an unknown id", status: 404, method: "GET", path: byId, url: "/v1/experiments/nothing-here" },
    { label: "all", status: 200, method: "GET", path: "/v1/experiments", url: "/v1/experiments" },
    { label: "one page", status: 200, method: "GET", path: "/v1/experiments", url: "/v1/experiments?limit=1" },
    { label: "an invalid limit", status: 400, method: "GET", path: "/v1/experiments", url: "/v1/experiments?limit=0" },
    { label: "hours", status: 200, method: "GET", path: exposures, url: "/v1/experiments/button/exposures" },
    { label: "days", status: 200, method: "GET", path: exposures, url: "/v1/experiments/daily/exposures" },
    { label: "not computed", status: 200, method: "GET", path: exposures, url: "/v1/experiments/draft/exposures" },
    {
      label: "an unknown id",
      status: 404,
      method: "GET",
      path: exposures,
      url: "/v1/experiments/nothing-here/exposures",
    },
    {
      label: "unchanged",
      status: 304,
      method: "GET",
      path: exposures,
      url: "/v1/experiments/button/exposures",
      headers: { "If-None-Match": "*" },
    },
    {
      label: "a manual request",
      status: 202,
      method: "POST",
      path: `${exposures}/refresh`,
      url: "/v1/experiments/daily/exposures/refresh",
    },
    {
      label: "the next manual request",
      status: 429,
      method: "POST",
      path: `${exposures}/refresh`,
      url: "/v1/experiments/daily/exposures/refresh",
    },
    {
      label: "a draft",
      status: 409,
      method: "POST",
      path: `${exposures}/refresh`,
      url: "/v1/experiments/draft/exposures/refresh",
    },
    {
      label: "an unknown id",
      status: 404,
      method: "POST",
      path: `${exposures}/refresh`,
      url: "/v1/experiments/no/exposures/refresh",
    },
    { label: "the status", status: 200, method: "GET", path: "/v1/status", url: "/v1/status" },
    {
      label: "the warehouse check",
      status: 200,
      method: "GET",
      path: "/v1/warehouse/check",
      url: "/v1/warehouse/check",
    },
    {
      label: "the check of Flagsmith without an API key",
      status: 409,
      method: "GET",
      path: "/v1/flagsmith/check",
      url: "/v1/flagsmith/check",
    },
    {
      label: "a read-only token",
      status: 403,
      method: "GET",
      path: "/v1/warehouse/check",
      url: "/v1/warehouse/check",
      headers: reader,
    },
    {
      label: "the features of the warehouse",
      status: 200,
      method: "GET",
      path: "/v1/warehouse/features",
      url: "/v1/warehouse/features",
    },
    {
      label: "the events of the warehouse",
      status: 200,
      method: "GET",
      path: "/v1/warehouse/events",
      url: "/v1/warehouse/events?environment_key=env",
    },
    {
      label: "no environment",
      status: 400,
      method: "GET",
      path: "/v1/warehouse/events",
      url: "/v1/warehouse/events",
    },
    {
      label: "a forged signature",
      status: 401,
      method: "POST",
      path: "/webhooks/refresh",
      url: "/webhooks/refresh",
      body: {},
      headers: signed,
    },
    {
      label: "no signature",
      status: 401,
      method: "POST",
      path: "/webhooks/flagsmith/{environment_key}",
      url: "/webhooks/flagsmith/env",
      body: {},
    },
    {
      label: "a new key",
      status: 201,
      method: "POST",
      path: "/v1/api-keys",
      url: "/v1/api-keys",
      body: { name: "CI", role: "write", environment_key: "env", expires_at: fromNow(HOUR) },
    },
    {
      label: "an empty import",
      status: 200,
      method: "POST",
      path: "/v1/import",
      url: "/v1/import",
      body: "",
      headers: { "Content-Type": "application/jsonl" },
    },
    { label: "no receiver", status: 409, method: "POST", path: "/v1/alerts/test", url: "/v1/alerts/test" },
    { label: "not JSON Lines", status: 415, method: "POST", path: "/v1/import", url: "/v1/import", body: "" },
    {
      label: "a malformed line",
      status: 400,
      method: "POST",
      path: "/v1/import",
      url: "/v1/import",
      body: "{",
      headers: { "Content-Type": "application/jsonl" },
    },
    {
      label: "an invalid key",
      status: 400,
      method: "POST",
      path: "/v1/api-keys",
      url: "/v1/api-keys",
      body: { role: "admin" },
    },
    { label: "all", status: 200, method: "GET", path: "/v1/api-keys", url: "/v1/api-keys" },
    {
      label: "a read-only token",
      status: 403,
      method: "GET",
      path: "/v1/api-keys",
      url: "/v1/api-keys",
      headers: reader,
    },
    {
      label: "an unknown id",
      status: 404,
      method: "DELETE",
      path: "/v1/api-keys/{id}",
      url: "/v1/api-keys/nothing-here",
    },
    { label: "a deleted experiment", status: 204, method: "DELETE", path: byId, url: "/v1/experiments/doomed" },
    { label: "an unknown id", status: 404, method: "DELETE", path: byId, url: "/v1/experiments/nothing-here" },
  ];

  it.each(cases)(
    "is documented: $status to $method $path ($label)",
    async ({ status, method, path, url, body, headers }) => {
      const response = await worker.call(method, url, body, headers);
      expect(response.status).toBe(status);
      const documented = operationOf(`${method} ${path}`).responses[status];
      expect(documented, "is not in responses").toBeDefined();
      const [type, media] = Object.entries(documented?.content ?? {})[0] ?? [];
      if (media === undefined) return expect(response.text).toBe("");
      expect(response.headers.get("Content-Type")?.split(";")[0]).toBe(type);
      expect(violationsOf(media.schema, response.json)).toEqual([]);
      const strictSchema = strict(media.schema);
      if (isObject(strictSchema))
        expect(violationsOf(strictSchema, response.json), "has undocumented properties").toEqual([]);
    },
  );

  it("is documented: each line of a 200 to GET /v1/export", async () => {
    const { text } = await worker.call("GET", "/v1/export");
    const media = operationOf("GET /v1/export").responses["200"]?.content?.["application/jsonl"];
    const lines = text.trim().split("\n");
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) expect(violationsOf(media?.schema ?? { not: {} }, JSON.parse(line))).toEqual([]);
  });

  it("is documented: 202 to POST /webhooks/refresh", async () => {
    const body = JSON.stringify({ environment_key: "env" });
    const response = await worker.call("POST", "/webhooks/refresh", body, {
      ...signed,
      "webhook-timestamp": String(Math.floor(Date.now() / 1000)),
      "webhook-signature": new Webhook(WEBHOOK_SECRET).sign("1", new Date(), body),
    });
    expect(response.status).toBe(202);
    expect([response.json.accepted.length > 0, response.json.skipped.length > 0]).toEqual([true, true]);
    const media = operationOf("POST /webhooks/refresh").responses["202"]?.content?.["application/json"];
    expect(violationsOf(media?.schema ?? { not: {} }, response.json)).toEqual([]);
  });
});

describe("discovery", () => {
  const features = "/v1/warehouse/features";
  const events = (environment: string) => `/v1/warehouse/events?environment_key=${encodeURIComponent(environment)}`;
  const iso = expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/);
  const hostile = {
    environment_key: HOSTILE,
    feature_name: HOSTILE,
    variants: [{ key: HOSTILE, identities: 1 }],
    first_exposure_at: iso,
    last_exposure_at: iso,
    experiment_id: null,
  };
  const purchase = { event: "purchase", count: 1, values: "numbers", last_event_at: iso };

  it("lists features with their open experiment, and events", async () => {
    const found = await worker.call("GET", features);
    expect(found.status).toBe(200);
    expect(found.json.features).toHaveLength(2);
    expect(found.json.features).toContainEqual(hostile);
    expect(found.json.features).toContainEqual({
      ...hostile,
      environment_key: "env",
      feature_name: "button",
      experiment_id: "button",
      variants: [
        { key: "treatment", identities: 2 },
        { key: "control", identities: 1 },
      ],
    });
    expect(found.json).not.toHaveProperty("is_truncated");
    expect((await worker.call("GET", events(HOSTILE))).json).toEqual({ events: [purchase] });
    expect((await worker.call("GET", events("env"))).json.events).toMatchObject([{ event: "click", values: "empty" }]);
  });

  it("shows a key that is bound to an environment nothing of the others", async () => {
    const key = { name: "bound", role: "write", environment_key: HOSTILE };
    const bound = { Authorization: `Bearer ${(await worker.call("POST", "/v1/api-keys", key)).json.key}` };
    const get = async (path: string) => (await worker.call("GET", path, undefined, bound)).json;
    expect(await get(features)).toEqual({ features: [hostile] });
    expect(await get(events(HOSTILE))).toEqual({ events: [purchase] });
    expect(await get(events("env"))).toEqual({ events: [] });
  });
});

describe("a client generated from the document", () => {
  it("creates, reads, ends and deletes an experiment", async () => {
    const client = createClient<paths>({
      baseUrl: "http://worker",
      headers: { Authorization: `Bearer ${ADMIN}` },
      fetch: async ({ method, url, headers, body }: Request) => {
        const { pathname, search } = new URL(url);
        const text = body === null ? undefined : await new Response(body).text();
        return worker.fetch(pathname + search, { method, headers, ...(text === undefined ? {} : { body: text }) });
      },
    });
    const params = { path: { id: "life" } };
    const { data: found } = await client.GET("/v1/warehouse/features");
    const feature = found?.features.find(({ feature_name }) => feature_name === HOSTILE);
    if (feature === undefined) throw new Error("the feature is missing");
    const { environment_key, feature_name } = feature;
    const variants = feature.variants.map(({ key }) => ({ key, weight: 1 }));
    const definition = { environment_key, feature_name, variants, started_at: fromNow(-2 * HOUR) };

    const created = await client.PUT("/v1/experiments/{id}", { params, body: { ...definition, ended_at: null } });
    expect([created.response.status, created.data?.status]).toEqual([201, "running"]);
    const exposures = () => client.GET("/v1/experiments/{id}/exposures", { params });
    const counted = await until(exposures, ({ data }) => (data?.exposures ?? null) !== null);
    expect(counted.data?.exposures?.variants).toEqual({ [HOSTILE]: 1 });
    expect((await client.GET("/v1/experiments/{id}/results", { params })).data?.results).toBeNull();

    const ended = await client.PUT("/v1/experiments/{id}", { params, body: { ...definition, ended_at: fromNow(-1) } });
    expect([ended.response.status, ended.data?.status]).toEqual([200, "completed"]);
    const list = await client.GET("/v1/experiments", { params: { query: { environment_key, status: "completed" } } });
    expect(list.data?.experiments.map(({ id }) => id)).toEqual(["life"]);

    expect((await client.DELETE("/v1/experiments/{id}", { params })).response.status).toBe(204);
    const gone = await client.GET("/v1/experiments/{id}", { params });
    expect([gone.data, gone.error?.title]).toEqual([undefined, "Not found"]);
  });
});
