import type { JsonObject } from "../../http/openapi.ts";
import { adminPaths } from "./admin-paths.ts";
import { alertPaths, alertSchemas, sentWebhooks } from "./alert-paths.ts";
import { schemas } from "./component-schemas.ts";
import { downloadPaths } from "./download-paths.ts";
import { experimentPaths, refreshPaths } from "./experiment-paths.ts";
import { anyone, json, object, securitySchemes, withProblems } from "./parts.ts";
import { webhookPaths } from "./webhook-paths.ts";

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

/** The OpenAPI 3.1 document of the HTTP API, which `npm run openapi` writes to a file. A test compares it with the routes. */
export const openApiDocument: JsonObject = {
  openapi: "3.1.0",
  info: {
    title: "Edge exposures",
    version: "1",
    description: "Counts the identities exposed to each variant of an experiment, in your own ClickHouse.",
    license: { name: "MIT", identifier: "MIT" },
  },
  servers: [{ url: "/" }],
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
