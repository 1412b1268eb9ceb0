import { writeFileSync } from "node:fs";
import { openApiDocument } from "./document.ts";

// `npm run openapi`: writes the document that the service answers with. A test holds the file to its sources.

writeFileSync("src/http/openapi.json", `${JSON.stringify(openApiDocument, null, 2)}\n`);
