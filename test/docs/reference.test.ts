import { globSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { checkNames } from "../../src/exposures/health.ts";
import { parseSettings, settingNames } from "../../src/settings.ts";
import { codeIn, readPage, tableOf } from "./pages.ts";

describe("docs/configuration.md", () => {
  const rows = tableOf(readPage("docs/configuration.md"), "## Settings");

  it("names each setting once, in the order of the code", () => {
    expect(rows.map(([name]) => name)).toEqual(settingNames.map((name) => `\`${name}\``));
  });

  it.each(rows.filter(([, value]) => value !== "none"))("has the default of %s: %s", (name, value) => {
    // A setting that only matters to states shows its effect only with them.
    const states = { EXPOSURE_SOURCE: "states" };
    const env = Object.fromEntries([[codeIn(name ?? "")[0], codeIn(value ?? "")[0]]]);
    for (const others of [{}, name === "`EXPOSURE_SOURCE`" ? {} : states])
      expect(parseSettings({ ...others, ...env })).toEqual(parseSettings(others));
  });

  it("explains every setting", () => {
    for (const [, , meaning] of rows) expect(meaning).toMatch(/\.$/);
  });
});

it("docs/operations.md explains exactly the log events of the code", () => {
  const files = globSync("src/**/*.ts").filter((file) => !file.startsWith("src/dev/"));
  const inCode = files.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/[,?:]\s+"([a-z_]+\.[a-z_]+)"/g)].map(([, event = ""]) => event),
  );
  const inDocs = codeIn(readPage("docs/operations.md")).filter((code) => /^[a-z_]+\.[a-z_]+$/.test(code));
  expect([...new Set(inDocs)].sort()).toEqual([...new Set(inCode)].sort());
});

it("docs/api.md explains exactly the problem types of the code", () => {
  const code = readFileSync("src/http/problem.ts", "utf8");
  const kinds = [...code.matchAll(/\| \{ kind: "([a-z_]+)"/g)].map(([, kind = ""]) => kind.replaceAll("_", "-"));
  const explained = tableOf(readPage("docs/api.md"), "## Errors").flatMap(([, types = ""]) => codeIn(types));
  expect(explained.sort()).toEqual(kinds.sort());
});

it("docs/counting-and-health.md has every health check, in the order of the answer", () => {
  const rows = tableOf(readPage("docs/counting-and-health.md"), "## Health");
  expect(rows.map(([check]) => check)).toEqual(checkNames.map((name) => `\`${name}\``));
});
