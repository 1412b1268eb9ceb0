import * as z from "zod/mini";
import type { JsonObject } from "../../http/openapi.ts";
import { experimentId } from "../../http/schemas.ts";

// Building blocks of the OpenAPI document.

export function schemaOf(schema: z.ZodMiniType): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
}

export const time: JsonObject = { type: "string", format: "date-time", examples: ["2026-06-01T00:00:00.000Z"] };
export const timeOrNull: JsonObject = { ...time, type: ["string", "null"] };
export const count: JsonObject = { type: "integer", minimum: 0 };

/** An object whose properties are all required. */
export function object(properties: JsonObject): JsonObject {
  return { type: "object", required: Object.keys(properties), properties };
}

export function list(items: JsonObject): JsonObject {
  return { type: "array", items };
}

export const reference = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });
export const json = (schema: JsonObject): JsonObject => ({ "application/json": { schema } });

const problems: Readonly<Record<number, string>> = {
  400: "The input is invalid; errors lists what to correct",
  401: "The credentials are missing or invalid",
  403: "The token lacks the required role",
  404: "Not found, or not visible to this token",
  409: "The current state does not allow this; detail says why",
  413: "The body is too large",
  415: "The content type is not supported; detail names the required one",
  429: "Too soon after the previous request, or too many failed attempts from this address; see Retry-After",
  502: "ClickHouse or Flagsmith is not ready; detail states what to do",
  503: "The database is unavailable; see Retry-After",
};

/** The responses of an operation: the successful ones, and a problem for each status. */
export function withProblems(success: JsonObject, ...refusals: number[]): JsonObject {
  const content = { "application/problem+json": { schema: reference("Problem") } };
  // An operation that checks credentials also limits failed attempts.
  if (refusals.includes(401) && !refusals.includes(429)) refusals.push(429);
  const refusesNobody = refusals.every((status) => status >= 500);
  const byRuntime = { "4XX": { description: "Rejected by the runtime, for example because the URL is too long" } };
  return {
    ...success,
    ...(refusesNobody && byRuntime),
    ...Object.fromEntries(refusals.map((status) => [status, { description: problems[status], content }])),
  };
}

/** Security requirements, by the right that an operation requires. */
export const read: JsonObject[] = [{ bearer: [] }, {}];
export const write: JsonObject[] = [{ bearer: [] }];
export const admin: JsonObject[] = [{ bearer: ["admin"] }];
export const anyone: JsonObject[] = [];
export const signedByStandardWebhooks: JsonObject[] = [{ standard_webhooks: [] }];
export const signedByFlagsmith: JsonObject[] = [{ flagsmith: [] }];

export const securitySchemes: JsonObject = {
  bearer: { type: "http", scheme: "bearer" },
  standard_webhooks: {
    type: "apiKey",
    in: "header",
    name: "webhook-signature",
    description: "Signed as Standard Webhooks specifies, over webhook-id, webhook-timestamp and the body",
  },
  flagsmith: {
    type: "apiKey",
    in: "header",
    name: "X-Flagsmith-Signature",
    description: "Signed with the hexadecimal HMAC-SHA256 of the body",
  },
};

export const experimentIdInPath: JsonObject = {
  name: "id",
  in: "path",
  required: true,
  schema: schemaOf(experimentId),
};

export const apiKeyIdInPath: JsonObject = { name: "id", in: "path", required: true, schema: { type: "string" } };

export const requiredHeader = (name: string): JsonObject => ({
  name,
  in: "header",
  required: true,
  schema: { type: "string" },
});

/** The query parameters that a schema describes. */
export const queryParameters = ({ shape }: { shape: Readonly<Record<string, z.ZodMiniType>> }): JsonObject[] =>
  Object.entries(shape).map(([name, schema]) => ({
    name,
    in: "query",
    required: !schema.safeParse(undefined).success,
    schema: schemaOf(schema),
  }));
