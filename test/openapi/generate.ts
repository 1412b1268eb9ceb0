import { mkdirSync, writeFileSync } from "node:fs";
import openapiTS from "openapi-typescript";
import { openApiDocument } from "../../src/http/openapi.ts";
import { downloadPaths } from "../../src/panel/download-openapi.ts";

// Writes the OpenAPI document, and the types of a client. `npm run check` does so first, so neither can go stale.

const folder = "dist/openapi";
const document = JSON.stringify(openApiDocument(downloadPaths, null));
mkdirSync(folder, { recursive: true });
writeFileSync(`${folder}/openapi.json`, document);
writeFileSync(`${folder}/client.ts`, await openapiTS(JSON.parse(document)));
