import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { writeNewSecrets } from "../../src/dev/new-secrets.ts";
import { ok } from "../../src/result.ts";
import { findShortSecrets, parseSettings } from "../../src/settings.ts";
import { describeSettings } from "../../src/settings-schema.ts";

const folder = mkdtempSync(join(tmpdir(), "edge-exposures-secrets-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a new file, and reads it. */
function write(name: string) {
  const path = join(folder, name);
  const unset = writeNewSecrets(path);
  const secrets = z.record(z.string(), z.string().nullable()).parse(JSON.parse(readFileSync(path, "utf8")));
  return { path, unset, secrets };
}

describe("writeNewSecrets", () => {
  it("writes every secret of the settings, with null for those that only the operator knows", () => {
    const { unset, secrets } = write("all.json");
    expect(Object.keys(secrets)).toEqual(
      describeSettings().flatMap(({ kind, name }) => (kind === "secret" ? name : [])),
    );
    expect(unset).toEqual(ok(Object.keys(secrets).filter((name) => secrets[name] === null)));
    expect(unset).toMatchObject({ value: expect.arrayContaining(["CLICKHOUSE_PASSWORD", "ALERT_WEBHOOK_URL"]) });
  });

  it("writes secrets that are valid on a public address", () => {
    const { secrets } = write("valid.json");
    const settings = parseSettings({ ...secrets, PUBLIC_URL: "https://exposures.example" });
    expect(settings).toMatchObject({ ok: true, value: { adminToken: secrets["ADMIN_TOKEN"] } });
    expect(settings.ok && findShortSecrets(settings.value)).toEqual([]);
  });

  it("writes other values each time", () => {
    const values = ["one.json", "two.json"].flatMap((name) =>
      Object.values(write(name).secrets).filter((value) => value !== null),
    );
    expect(new Set(values).size).toBe(values.length);
  });

  it("writes a file that only its owner can read", () => {
    expect(statSync(write("mode.json").path).mode & 0o777).toBe(0o600);
  });

  it("never replaces a file", () => {
    const { path, secrets } = write("kept.json");
    expect(writeNewSecrets(path)).toMatchObject({ ok: false, failure: expect.stringContaining("exists already") });
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(secrets);
  });

  it("returns a failure for an unusable path", () => {
    expect(writeNewSecrets(join(folder, "missing/file.json"))).toMatchObject({ ok: false });
  });
});

it("git ignores the file of npm run secrets", () => {
  const [, path = ""] = /PATH = "(.*)"/.exec(readFileSync("src/dev/secrets.ts", "utf8")) ?? [];
  expect(readFileSync(".gitignore", "utf8").split("\n")).toContain(path);
});
