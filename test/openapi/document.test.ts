import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { openApiDocument } from "../../src/dev/openapi/document.ts";

it("src/http/openapi.json is up to date: run `npm run openapi` after a change of its sources", () => {
  expect(JSON.parse(readFileSync("src/http/openapi.json", "utf8"))).toEqual(
    JSON.parse(JSON.stringify(openApiDocument)),
  );
});
