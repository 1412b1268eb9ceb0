import { describe, expect, it } from "vitest";
import { readTarget } from "../../src/dev/target.ts";
import { ok } from "../../src/result.ts";

const URL_TEXT = "https://exposures.example";

describe("readTarget", () => {
  it("returns the URL and the token", () => {
    expect(readTarget(URL_TEXT, { ADMIN_TOKEN: "token" })).toEqual(ok({ url: new URL(URL_TEXT), token: "token" }));
    expect(readTarget("http://127.0.0.1:8787", { ADMIN_TOKEN: "" })).toMatchObject({
      ok: true,
      value: { token: null },
    });
  });

  it("returns the local run without an address", () => {
    const url = new URL("http://127.0.0.1:9000");
    expect(readTarget(undefined, { PORT: "9000" })).toEqual(ok({ url, token: "dev-admin" }));
  });

  it.each([
    { what: "a line break", secret: "pass\nphrase" },
    { what: "a line break at its end", secret: "passphrase\n" },
    { what: "a space", secret: "pass phrase" },
    { what: "another character than ASCII", secret: "paßphrase" },
  ])("refuses a token with $what, and does not repeat it", ({ secret }) => {
    for (const address of [URL_TEXT, undefined]) {
      expect(readTarget(address, { ADMIN_TOKEN: secret })).toEqual({
        ok: false,
        failure: "ADMIN_TOKEN must be the token alone, in ASCII without spaces or line breaks",
      });
    }
  });

  it.each([
    { address: "https://user:passphrase@exposures.example", problem: /^The URL must not hold credentials\. Pass / },
    { address: "https://passphrase@exposures.example", problem: /^The URL must not hold credentials\. Pass / },
    { address: "http://user:passphrase@exposures.example", problem: /^The argument is not an https:\/\/ URL\. Pass / },
    { address: "user:passphrase@exposures.example", problem: /^The argument is not an https:\/\/ URL\. Pass / },
  ])("refuses $address, and does not repeat it", ({ address, problem }) => {
    const target = readTarget(address, {});
    expect(target).toEqual({ ok: false, failure: expect.stringMatching(problem) });
    expect(JSON.stringify(target)).not.toContain("passphrase");
  });
});
