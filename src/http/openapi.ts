import { apiKey, type JsonObject, json, list, object, reference, schemaOf, schemas, time } from "./openapi-schemas.ts";
import { apiKeyBody, chartQuery, experimentId, listQuery, pageQuery, refreshHint } from "./schemas.ts";

// The OpenAPI 3.1 document of the HTTP interface. A test holds its paths to the routes that are served.

const problems: Readonly<Record<number, string>> = {
  400: "Invalid input: errors lists what to correct",
  401: "No credentials, or unknown ones",
  403: "The token lacks the right",
  404: "There is none, or none for this token",
  409: "The experiment's state does not allow it",
  413: "The body is too large",
  415: "The body is of another type than this",
  429: "Too soon after the last call, or too many failed attempts from this address: see Retry-After",
  502: "The warehouse is not ready: detail says what is missing",
  503: "The database did not answer: see Retry-After",
};

function answers(success: JsonObject, ...refusals: number[]): JsonObject {
  const content = { "application/problem+json": { schema: reference("Problem") } };
  // Whatever can be refused for its credentials can be refused for too many bad ones.
  if (refusals.includes(401) && !refusals.includes(429)) refusals.push(429);
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
const admin: JsonObject[] = [{ bearer: ["admin"] }];
const anyone: JsonObject[] = [];

const inQuery = (query: typeof pageQuery | typeof listQuery | typeof chartQuery): JsonObject[] =>
  Object.entries(query.shape).map(([name, schema]) => ({
    name,
    in: "query",
    required: false,
    schema: schemaOf(schema),
  }));

const exportedLines: JsonObject = { "application/jsonl": { schema: reference("ExportedExperiment") } };

const hintAnswers = answers(
  { 202: { description: "What will be refreshed", content: json(reference("HintReceipt")) } },
  400,
  401,
  413,
  415,
  503,
);

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
  "/docs": {
    get: {
      summary: "This document as a page",
      security: anyone,
      responses: { 200: { description: "For people", content: { "text/html": { schema: { type: "string" } } } } },
    },
  },
  "/v1/experiments": {
    get: {
      summary: "List experiments in the order of their ids",
      security: read,
      parameters: inQuery(listQuery),
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
            headers: { ETag: { schema: { type: "string" } }, "Server-Timing": { schema: { type: "string" } } },
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
  "/v1/experiments/{id}/exposures.svg": {
    parameters: [id],
    get: {
      summary: "Read an experiment's exposures as a chart; also by a signed link from the panel",
      security: read,
      parameters: inQuery(chartQuery),
      responses: answers(
        {
          200: {
            description: "A self-contained picture",
            content: { "image/svg+xml": { schema: { type: "string" } } },
          },
          304: { description: "Unchanged" },
        },
        400,
        401,
        404,
        503,
      ),
    },
  },
  "/v1/experiments/{id}/exposures.csv": {
    parameters: [id],
    get: {
      summary: "Read an experiment's exposures as a table; also by a signed link from the panel",
      security: read,
      responses: answers(
        {
          200: {
            description: "A row for each bucket and variant: bucket, variant, new_identities, cumulative_identities",
            content: { "text/csv": { schema: { type: "string" } } },
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
  "/v1/experiments/{id}/exposures/rebuild": {
    parameters: [id],
    post: {
      summary: "Drop what is kept of its identities, and fill it anew from the events",
      description: "Only where EXPOSURE_SOURCE is states; until they are filled, refreshes count from the events.",
      security: write,
      responses: answers(
        {
          202: {
            description: "It is dropped, and will be filled",
            content: json(object({ experiment_id: { type: "string" }, rebuild_requested_at: time })),
          },
        },
        401,
        403,
        404,
        409,
        502,
        503,
      ),
    },
  },
  "/v1/api-keys": {
    get: {
      summary: "List API keys in the order of their ids",
      security: admin,
      parameters: inQuery(pageQuery),
      responses: answers(
        {
          200: {
            description: "A page",
            content: json(object({ api_keys: list(reference("ApiKey")), next_cursor: { type: ["string", "null"] } })),
          },
        },
        400,
        401,
        403,
        503,
      ),
    },
    post: {
      summary: "Make an API key; this answer alone shows it",
      security: admin,
      requestBody: { required: true, content: json(schemaOf(apiKeyBody)) },
      responses: answers(
        { 201: { description: "The key", content: json(object({ ...apiKey, key: { type: "string" } })) } },
        400,
        401,
        403,
        413,
        415,
        503,
      ),
    },
  },
  "/v1/api-keys/{id}": {
    parameters: [id],
    delete: {
      summary: "Revoke an API key; it stops everywhere within a minute",
      security: admin,
      responses: answers({ 204: { description: "Revoked" } }, 401, 403, 404, 503),
    },
  },
  "/v1/export": {
    get: {
      summary: "All experiments with their numbers, one a line",
      security: admin,
      responses: answers({ 200: { description: "JSON Lines", content: exportedLines } }, 401, 403, 503),
    },
  },
  "/v1/import": {
    post: {
      summary: "Add the experiments of an export that are not there; none that is there changes",
      security: admin,
      requestBody: { required: true, content: exportedLines },
      responses: answers(
        { 200: { description: "What was added", content: json(reference("ImportReceipt")) } },
        400,
        401,
        403,
        413,
        415,
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
      responses: hintAnswers,
    },
  },
  "/webhooks/flagsmith/{environment_key}": {
    parameters: [environmentKey],
    post: {
      summary: "A webhook of Flagsmith, signed with the hex HMAC-SHA256 of its body",
      security: anyone,
      parameters: [header("X-Flagsmith-Signature")],
      requestBody: { required: true, content: json(object({ event_type: { type: "string" }, data: {} })) },
      responses: hintAnswers,
    },
  },
};

/** What is sent, to ALERT_WEBHOOK_URL. */
const webhooks: JsonObject = {
  "health.changed": {
    post: {
      summary: "A check of an experiment has turned to warning or unhealthy; signed as Standard Webhooks say",
      parameters: ["webhook-id", "webhook-timestamp", "webhook-signature"].map(header),
      requestBody: { required: true, content: json(reference("HealthChanged")) },
      responses: { "2XX": { description: "Taken. Whatever else is answered, it is sent again." } },
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
  webhooks,
  components: { schemas, securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
};
