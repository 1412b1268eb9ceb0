import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { apiKeyId, generateApiKey, inspectApiKey, sha256Hex } from "../../src/http/api-key-format.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
/** Appends the right checksum. */
const withChecksum = (text: string) => text + sha256(text).slice(0, 8);
const DIGITS = "0123456789abcdef".repeat(4);

describe("generateApiKey", () => {
  it("returns ee_, 64 hexadecimal digits, and the first 8 digits of their SHA-256", async () => {
    const key = await generateApiKey();
    expect(key).toMatch(/^ee_[0-9a-f]{72}$/);
    expect(key).toBe(withChecksum(key.slice(0, 67)));
  });

  it("randomises every byte, and writes it as two digits", async () => {
    const seen = Array.from({ length: 32 }, () => new Set<string>());
    for (let count = 0; count < 20; count += 1) {
      const key = await generateApiKey();
      expect(key).toHaveLength(75);
      for (const [index, digits] of seen.entries()) digits.add(key.slice(3 + 2 * index, 5 + 2 * index));
    }
    for (const digits of seen) expect(digits.size).toBeGreaterThan(5);
  });
});

describe("inspectApiKey", () => {
  it("accepts a key from generateApiKey or from another program", async () => {
    expect(await inspectApiKey(await generateApiKey())).toBe("well_formed");
    expect(await inspectApiKey(withChecksum(`ee_${DIGITS}`))).toBe("well_formed");
  });

  it("finds a mistyped digit at any position", async () => {
    const key = withChecksum(`ee_${DIGITS}`);
    for (let at = 3; at < key.length; at += 1) {
      const other = key[at] === "0" ? "1" : "0";
      expect(await inspectApiKey(key.slice(0, at) + other + key.slice(at + 1)), `digit ${at}`).toBe("mistyped");
    }
  });

  it.each([
    { what: "with a digit missing", text: withChecksum(`ee_${DIGITS.slice(1)}`) },
    { what: "with an extra digit", text: withChecksum(`ee_${DIGITS}0`) },
    { what: "in upper case", text: withChecksum(`ee_${DIGITS.toUpperCase()}`) },
    { what: "with a non-hexadecimal letter before the digits", text: withChecksum(`ee_g${DIGITS}`) },
    { what: "with a non-hexadecimal letter after the digits", text: withChecksum(`ee_${DIGITS}g`) },
    { what: "without its checksum", text: `ee_${DIGITS}` },
    {
      what: "with its checksum in upper case",
      text: `ee_${DIGITS}${sha256(`ee_${DIGITS}`).slice(0, 8).toUpperCase()}`,
    },
    { what: "cut off after ee_", text: "ee_" },
  ])("reports a key $what as mistyped", async ({ text }) => {
    expect(await inspectApiKey(text)).toBe("mistyped");
  });

  it.each([
    { text: "" },
    { text: "admin" },
    { text: withChecksum(DIGITS) },
    { text: withChecksum(`EE_${DIGITS}`) },
    { text: ` ${withChecksum(`ee_${DIGITS}`)}` },
  ])("returns none for text that does not start with ee_: $text", async ({ text }) => {
    expect(await inspectApiKey(text)).toBe("none");
  });
});

describe("apiKeyId", () => {
  it("returns the first 16 digits of the key's SHA-256", async () => {
    expect(await sha256Hex("ключ")).toBe(sha256("ключ"));
    expect(apiKeyId(DIGITS)).toBe("0123456789abcdef");
  });
});
