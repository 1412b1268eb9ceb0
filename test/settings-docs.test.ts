import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { settingNames } from "../src/settings.ts";
import { describeSettings } from "../src/settings-schema.ts";

const settings = describeSettings();

/** The part of a file between a heading and the next one. */
function section(file: string, heading: RegExp, next: RegExp): string {
  const [, rest = ""] = readFileSync(file, "utf8").split(heading);
  return rest.split(next)[0] ?? "";
}

describe("the schema of the settings", () => {
  it("describes every setting", () => {
    expect(settings.map(({ name }) => name)).toEqual(settingNames);
  });
});

describe("docs/configuration.md", () => {
  const table = section("docs/configuration.md", /^## Settings$/m, /^## /m);
  const rows = [...table.matchAll(/^\| `([A-Z_]+)` \| ([^|]*) \| ([^|]+) \|$/gm)];

  it("lists every setting with its default, in the order of the schema", () => {
    const listed = rows.map(([, name, value = ""]) => [name, value.replaceAll("`", "")]);
    const defaults = settings.map(({ name, default: value }) => [name, value === "" ? "none" : String(value)]);
    expect(listed).toEqual(defaults);
  });

  it("tells secrets from vars", () => {
    const secrets = rows.flatMap(([, name, , meaning]) => (meaning?.startsWith("Secret") ? [name] : []));
    expect(secrets).toEqual(settings.flatMap(({ kind, name }) => (kind === "secret" ? [name] : [])));
  });
});

describe("[vars] of wrangler.toml", () => {
  const vars = section("wrangler.toml", /^\[vars\]$/m, /^\[/m).matchAll(/^([A-Z_]+) = (.+)$/gm);

  it("has every setting but the secrets, with its default", () => {
    const listed = [...vars].map(([, name, value = ""]) => [name, JSON.parse(value)]);
    const defaults = settings.flatMap(({ kind, name, default: value }) => (kind === "var" ? [[name, value]] : []));
    expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(defaults));
  });
});
