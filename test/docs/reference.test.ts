import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { checkNames } from "../../src/exposures/health.ts";
import { codeIn, readPage, tableOf } from "./pages.ts";

it("docs/operations.md documents exactly the log events of the code", () => {
  const files = globSync("src/**/*.ts").filter((file) => !file.startsWith("src/dev/"));
  const inCode = files.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/[,?:]\s+"([a-z_]+\.(?!svg"|csv")[a-z_]+)"/g)].map(
      ([, event = ""]) => event,
    ),
  );
  const inDocs = codeIn(readPage("docs/operations.md")).filter((code) => /^[a-z_]+\.[a-z_]+$/.test(code));
  expect([...new Set(inDocs)].sort()).toEqual([...new Set(inCode)].sort());
});

it("docs/api.md documents exactly the problem types of the code", () => {
  const code = readFileSync("src/http/problem.ts", "utf8");
  const kinds = [...code.matchAll(/\| \{ kind: "([a-z_]+)"/g)].map(([, kind = ""]) => kind.replaceAll("_", "-"));
  const documented = tableOf(readPage("docs/api.md"), "## Errors").flatMap(([, types = ""]) => codeIn(types));
  expect(documented.sort()).toEqual(kinds.sort());
});

it("docs/counting-and-health.md lists every health check in response order", () => {
  const rows = tableOf(readPage("docs/counting-and-health.md"), "## Health");
  expect(rows.map(([check]) => check)).toEqual(checkNames.map((name) => `\`${name}\``));
});
