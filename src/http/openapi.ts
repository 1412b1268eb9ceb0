import { adminPaths } from "./openapi-admin.ts";
import { alertPaths, alertSchemas, sentWebhooks } from "./openapi-alerts.ts";
import { experimentPaths, refreshPaths } from "./openapi-experiments.ts";
import { anyone, type JsonObject, json, object, securitySchemes, withProblems } from "./openapi-parts.ts";
import { schemas } from "./openapi-schemas.ts";
import { webhookPaths } from "./openapi-webhooks.ts";

const servicePaths: JsonObject = {
  "/healthz": {
    get: {
      operationId: "getHealth",
      summary: "Reports whether the service is up",
      security: anyone,
      responses: withProblems({
        200: { description: "The service is up", content: json(object({ status: { const: "ok" } })) },
      }),
    },
  },
  "/readyz": {
    get: {
      operationId: "getReadiness",
      summary: "Reports whether the settings are valid and the database answers and is migrated",
      security: anyone,
      responses: withProblems(
        {
          200: { description: "The service is ready", content: json(object({ status: { const: "ready" } })) },
        },
        503,
      ),
    },
  },
  "/openapi.json": {
    get: {
      operationId: "getOpenApi",
      summary: "Returns this document",
      security: anyone,
      responses: withProblems({
        200: { description: "The OpenAPI 3.1 document", content: json({ type: "object" }) },
      }),
    },
  },
  "/docs": {
    get: {
      operationId: "getDocs",
      summary: "Returns this document as a page",
      security: anyone,
      responses: withProblems({
        200: { description: "The page", content: { "text/html": { schema: { type: "string" } } } },
      }),
    },
  },
};

/**
 * The OpenAPI 3.1 document of the HTTP API. A test compares its paths with the routes.
 * @param downloadPaths the downloads of an experiment, which the panel serves
 * @param publicUrl the origin of the service; null: that of the document
 */
export function openApiDocument(downloadPaths: JsonObject, publicUrl: string | null): JsonObject {
  return {
    openapi: "3.1.0",
    info: {
      title: "Edge exposures",
      version: "1",
      description: "Counts the identities exposed to each variant of an experiment, in your own ClickHouse.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: publicUrl ?? "/" }],
    paths: {
      ...servicePaths,
      ...experimentPaths,
      ...downloadPaths,
      ...refreshPaths,
      ...adminPaths,
      ...alertPaths,
      ...webhookPaths,
    },
    webhooks: sentWebhooks,
    components: {
      schemas: { ...schemas, ...alertSchemas },
      securitySchemes,
    },
  };
}
