import type { JsonObject } from "../../http/openapi.ts";
import { apiKeyBody, eventsQuery, importQuery, pageQuery } from "../../http/schemas.ts";
import { apiKeySchema } from "./component-schemas.ts";
import {
  admin,
  apiKeyIdInPath,
  json,
  list,
  object,
  queryParameters,
  reference,
  schemaOf,
  time,
  timeOrNull,
  withProblems,
  write,
} from "./parts.ts";

/** An object whose `is_truncated` is present if there are more entries than it lists. */
function truncated(properties: JsonObject): JsonObject {
  return { ...object(properties), properties: { ...properties, is_truncated: { const: true } } };
}

const exportedLines: JsonObject = { "application/jsonl": { schema: reference("ExportedExperiment") } };

/** API keys, export and import, the status and the checks. */
export const adminPaths: JsonObject = {
  "/v1/api-keys": {
    get: {
      operationId: "listApiKeys",
      summary: "Lists API keys, ordered by id",
      security: admin,
      parameters: queryParameters(pageQuery),
      responses: withProblems(
        {
          200: {
            description: "A page of API keys",
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
      operationId: "createApiKey",
      summary: "Creates an API key; only this response contains it",
      security: admin,
      requestBody: { required: true, content: json(schemaOf(apiKeyBody)) },
      responses: withProblems(
        { 201: { description: "The API key", content: json(object({ ...apiKeySchema, key: { type: "string" } })) } },
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
    parameters: [apiKeyIdInPath],
    delete: {
      operationId: "revokeApiKey",
      summary: "Revokes an API key; it is rejected everywhere within a minute",
      security: admin,
      responses: withProblems({ 204: { description: "Revoked" } }, 401, 403, 404, 503),
    },
  },
  "/v1/export": {
    get: {
      operationId: "exportExperiments",
      summary: "Exports all experiments with their numbers, one per line",
      security: admin,
      responses: withProblems(
        { 200: { description: "The experiments, as JSON Lines", content: exportedLines } },
        401,
        403,
        503,
      ),
    },
  },
  "/v1/import": {
    post: {
      operationId: "importExperiments",
      summary: "Imports the experiments of an export; existing experiments do not change",
      description: "One invalid line rejects the whole file, unless on_error is skip.",
      security: admin,
      parameters: queryParameters(importQuery),
      requestBody: { required: true, content: exportedLines },
      responses: withProblems(
        { 200: { description: "The imported and the skipped experiments", content: json(reference("ImportReceipt")) } },
        400,
        401,
        403,
        413,
        415,
        503,
      ),
    },
  },
  "/v1/status": {
    get: {
      operationId: "getStatus",
      summary: "Reports the service's clock and the scheduled time of its last sweep",
      security: write,
      responses: withProblems(
        {
          200: {
            description: "last_sweep_at is null before the first sweep",
            content: json(
              object({ time, last_sweep_at: timeOrNull, sweep_seconds: { type: "integer", exclusiveMinimum: 0 } }),
            ),
          },
        },
        401,
        403,
        503,
      ),
    },
  },
  "/v1/warehouse/check": {
    get: {
      operationId: "checkWarehouse",
      summary: "Checks whether ClickHouse is ready for refreshes",
      security: write,
      responses: withProblems(
        { 200: { description: "ClickHouse is ready", content: json(object({ status: { const: "ok" } })) } },
        401,
        403,
        502,
      ),
    },
  },
  "/v1/flagsmith/check": {
    get: {
      operationId: "checkFlagsmith",
      summary: "Checks whether experiments can be read from Flagsmith",
      security: write,
      responses: withProblems(
        { 200: { description: "Flagsmith's API can be read", content: json(object({ status: { const: "ok" } })) } },
        401,
        403,
        409,
        502,
      ),
    },
  },
  "/v1/warehouse/features": {
    get: {
      operationId: "listWarehouseFeatures",
      summary: "Lists the features with exposures in the last 30 days, the latest first",
      description: "ClickHouse is asked at most once a minute. Numbers of identities are approximate.",
      security: write,
      responses: withProblems(
        {
          200: {
            description: "At most 500 features, each with at most 20 variants",
            content: json(truncated({ features: list(reference("WarehouseFeature")) })),
          },
        },
        401,
        403,
        502,
        503,
      ),
    },
  },
  "/v1/warehouse/events": {
    get: {
      operationId: "listWarehouseEvents",
      summary: "Lists an environment's events of the last 30 days, except exposures, the most frequent first",
      description: "ClickHouse is asked at most once a minute for each environment.",
      security: write,
      parameters: queryParameters(eventsQuery),
      responses: withProblems(
        {
          200: {
            description: "At most 500 events",
            content: json(truncated({ events: list(reference("WarehouseEvent")) })),
          },
        },
        400,
        401,
        403,
        502,
        503,
      ),
    },
  },
};
