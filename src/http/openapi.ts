import * as z from "zod";
import { statuses } from "../experiment.ts";
import { experimentBody, experimentId, listQuery, refreshHint } from "./schemas.ts";

// The OpenAPI 3.1 document of the contract's section 4. What may be sent comes from the schemas that check it; a test
// holds the paths to the routes that are served.

type JsonObject = { [key: string]: unknown };

function schemaOf(schema: z.ZodType): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
}

const time: JsonObject = { type: "string", format: "date-time", examples: ["2026-06-01T00:00:00.000Z"] };
const timeOrNull: JsonObject = { ...time, type: ["string", "null"] };
const count: JsonObject = { type: "integer", minimum: 0 };
const countByVariant: JsonObject = { type: "object", additionalProperties: count };

/** An object whose properties are always all there. */
function object(properties: JsonObject): JsonObject {
  return { type: "object", required: Object.keys(properties), properties };
}

function list(items: JsonObject): JsonObject {
  return { type: "array", items };
}

const reference = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: JsonObject): JsonObject => ({ "application/json": { schema } });

const problems: Readonly<Record<number, string>> = {
  400: "Invalid input: errors lists what to correct",
  401: "No credentials, or unknown ones",
  403: "The token may only read",
  404: "No such experiment",
  409: "The experiment's state does not allow it",
  413: "The body is too large",
  415: "The body is not JSON",
  429: "Too soon after the last call: see Retry-After",
  502: "The warehouse is not ready: detail says what is missing",
  503: "The database did not answer: see Retry-After",
};

function answers(success: JsonObject, ...refusals: number[]): JsonObject {
  const content = { "application/problem+json": { schema: reference("Problem") } };
  return {
    ...success,
    ...Object.fromEntries(refusals.map((status) => [status, { description: problems[status], content }])),
  };
}

const id: JsonObject = { name: "id", in: "path", required: true, schema: schemaOf(experimentId) };
const environmentKey: JsonObject = {
  name: "environment_key",
  in: "path",
  required: true,
  schema: { type: "string", minLength: 1 },
};
const header = (name: string): JsonObject => ({ name, in: "header", required: true, schema: { type: "string" } });
const read: JsonObject[] = [{ bearer: [] }, {}];
const write: JsonObject[] = [{ bearer: [] }];
const anyone: JsonObject[] = [];

const schemas: JsonObject = {
  Problem: {
    description: "RFC 9457; errors comes with bad input",
    type: "object",
    required: ["type", "title", "status", "detail"],
    properties: {
      type: { type: "string" },
      title: { type: "string" },
      status: count,
      detail: { type: "string" },
      errors: list(object({ path: { type: "string" }, message: { type: "string" } })),
    },
  },
  ExperimentInput: schemaOf(experimentBody),
  Experiment: object({
    id: schemaOf(experimentId),
    name: { type: "string" },
    environment_key: { type: "string" },
    feature_name: { type: "string" },
    variants: list(object({ key: { type: "string" }, weight: { type: "number", minimum: 0 } })),
    started_at: timeOrNull,
    ended_at: timeOrNull,
    status: { enum: statuses },
    created_at: time,
    updated_at: time,
  }),
  Exposures: object({
    experiment_id: { type: "string" },
    status: { enum: statuses },
    as_of: timeOrNull,
    computed_at: timeOrNull,
    last_error_at: timeOrNull,
    refresh_requested_at: timeOrNull,
    is_final: { type: "boolean" },
    exposures: {
      description: "Null until the first refresh succeeds.",
      oneOf: [
        { type: "null" },
        object({
          total_identities: count,
          excluded_identities: count,
          variants: countByVariant,
          timeseries: object({
            granularity: { enum: ["hour", "day"] },
            points: list(
              object({ bucket: time, new_identities: countByVariant, cumulative_identities: countByVariant }),
            ),
          }),
        }),
      ],
    },
  }),
  HintReceipt: object({
    accepted: list({ type: "string" }),
    skipped: list(
      object({
        experiment_id: { type: "string" },
        reason: { enum: ["not_found", "not_started", "final", "repeated"] },
      }),
    ),
  }),
};

const listParameters = Object.entries(listQuery.shape).map(([name, schema]) => ({
  name,
  in: "query",
  required: false,
  schema: schemaOf(schema),
}));

const paths: JsonObject = {
  "/healthz": {
    get: {
      summary: "Whether the service is up",
      security: anyone,
      responses: { 200: { description: "It is", content: json(object({ status: { const: "ok" } })) } },
    },
  },
  "/openapi.json": {
    get: {
      summary: "This document",
      security: anyone,
      responses: { 200: { description: "OpenAPI 3.1", content: json({ type: "object" }) } },
    },
  },
  "/v1/experiments": {
    get: {
      summary: "List experiments in the order of their ids",
      security: read,
      parameters: listParameters,
      responses: answers(
        {
          200: {
            description: "A page",
            content: json(
              object({ experiments: list(reference("Experiment")), next_cursor: { type: ["string", "null"] } }),
            ),
          },
        },
        400,
        401,
        503,
      ),
    },
  },
  "/v1/experiments/{id}": {
    parameters: [id],
    get: {
      summary: "Read an experiment",
      security: read,
      responses: answers(
        { 200: { description: "The experiment", content: json(reference("Experiment")) } },
        401,
        404,
        503,
      ),
    },
    put: {
      summary: "Create or replace an experiment; a started one is refreshed at once",
      security: write,
      requestBody: { required: true, content: json(reference("ExperimentInput")) },
      responses: answers(
        {
          200: { description: "Replaced", content: json(reference("Experiment")) },
          201: { description: "Created", content: json(reference("Experiment")) },
        },
        400,
        401,
        403,
        409,
        413,
        415,
        503,
      ),
    },
    delete: {
      summary: "Delete an experiment and its numbers",
      security: write,
      responses: answers({ 204: { description: "Deleted" } }, 401, 403, 404, 503),
    },
  },
  "/v1/experiments/{id}/exposures": {
    parameters: [id],
    get: {
      summary: "Read an experiment's exposures",
      security: read,
      parameters: [{ name: "If-None-Match", in: "header", schema: { type: "string" } }],
      responses: answers(
        {
          200: {
            description: "The summary, as of its last successful refresh",
            headers: { ETag: { schema: { type: "string" } } },
            content: json(reference("Exposures")),
          },
          304: { description: "Unchanged" },
        },
        401,
        404,
        503,
      ),
    },
  },
  "/v1/experiments/{id}/exposures/refresh": {
    parameters: [id],
    post: {
      summary: "Ask for a refresh",
      security: write,
      responses: answers(
        {
          202: {
            description: "It will happen",
            content: json(object({ experiment_id: { type: "string" }, refresh_requested_at: time })),
          },
        },
        401,
        403,
        404,
        409,
        429,
        503,
      ),
    },
  },
  "/v1/warehouse/check": {
    get: {
      summary: "Whether ClickHouse is ready for refreshes",
      security: write,
      responses: answers(
        { 200: { description: "It is", content: json(object({ status: { const: "ok" } })) } },
        401,
        403,
        502,
      ),
    },
  },
  "/webhooks/refresh": {
    post: {
      summary: "Hint that something has changed, signed as Standard Webhooks say",
      security: anyone,
      parameters: ["webhook-id", "webhook-timestamp", "webhook-signature"].map(header),
      requestBody: { required: true, content: json(schemaOf(refreshHint)) },
      responses: answers(
        { 202: { description: "What will be refreshed", content: json(reference("HintReceipt")) } },
        400,
        401,
        413,
        415,
        503,
      ),
    },
  },
  "/webhooks/flagsmith/{environment_key}": {
    parameters: [environmentKey],
    post: {
      summary: "A webhook of Flagsmith, signed with the hex HMAC-SHA256 of its body",
      security: anyone,
      parameters: [header("X-Flagsmith-Signature")],
      requestBody: { required: true, content: json(object({ event_type: { type: "string" }, data: {} })) },
      responses: answers(
        { 202: { description: "What will be refreshed", content: json(reference("HintReceipt")) } },
        400,
        401,
        413,
        415,
        503,
      ),
    },
  },
};

export const openApiDocument: JsonObject = {
  openapi: "3.1.0",
  info: {
    title: "Edge exposures",
    version: "1",
    description: "Who was exposed to which variant of an experiment, since when: counted in your own ClickHouse.",
    license: { name: "MIT", identifier: "MIT" },
  },
  paths,
  components: { schemas, securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
};
