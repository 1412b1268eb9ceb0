import {
  admin,
  experimentIdInPath,
  type JsonObject,
  json,
  list,
  object,
  queryParameters,
  reference,
  schemaOf,
  withProblems,
  write,
} from "./openapi-parts.ts";
import { apiKey } from "./openapi-schemas.ts";
import { apiKeyBody, pageQuery } from "./schemas.ts";

const exportedLines: JsonObject = { "application/jsonl": { schema: reference("ExportedExperiment") } };

/** API keys, export and import, and the warehouse check. */
export const adminPaths: JsonObject = {
  "/v1/api-keys": {
    get: {
      summary: "List API keys in the order of their ids",
      security: admin,
      parameters: queryParameters(pageQuery),
      responses: withProblems(
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
      responses: withProblems(
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
    parameters: [experimentIdInPath],
    delete: {
      summary: "Revoke an API key; it stops everywhere within a minute",
      security: admin,
      responses: withProblems({ 204: { description: "Revoked" } }, 401, 403, 404, 503),
    },
  },
  "/v1/export": {
    get: {
      summary: "All experiments with their numbers, one a line",
      security: admin,
      responses: withProblems({ 200: { description: "JSON Lines", content: exportedLines } }, 401, 403, 503),
    },
  },
  "/v1/import": {
    post: {
      summary: "Add the experiments of an export that are not there; none that is there changes",
      security: admin,
      requestBody: { required: true, content: exportedLines },
      responses: withProblems(
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
      responses: withProblems(
        { 200: { description: "It is", content: json(object({ status: { const: "ok" } })) } },
        401,
        403,
        502,
      ),
    },
  },
};
