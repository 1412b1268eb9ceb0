import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import openapiTS from "openapi-typescript";

// Writes the types of a client. `npm run check` does so first, so they can't go stale.

const document = JSON.parse(readFileSync("src/http/openapi.json", "utf8"));
mkdirSync("dist/openapi", { recursive: true });
writeFileSync("dist/openapi/client.ts", await openapiTS(document));
