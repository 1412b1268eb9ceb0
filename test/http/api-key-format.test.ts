import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { apiKeyId, generateApiKey, inspectApiKey, sha256Hex } from "../../src/http/api-key-format.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
/** With the checksum that fits, whatever comes before it. */
const withChecksum = (text: string) => text + sha256(text).slice(0, 8);
const DIGITS = "0123456789abcdef".repeat(4);

describe("an API key", () => {
  it("is ee_, 64 hexadecimal digits, and the first 8 of the SHA-256 of all that", async () => {
    const key = await generateApiKey();
    expect(key).toMatch(/^ee_[0-9a-f]{72}$/);
    expect(key).toBe(withChecksum(key.slice(0, 67)));
  });

  it("is random in every byte, and has two digits for each", async () => {
    const seen = Array.from({ length: 32 }, () => new Set<string>());
    for (let time = 0; time < 20; time += 1) {
      const key = await generateApiKey();
      expect(key).toHaveLength(75);
      for (const [index, digits] of seen.entries()) digits.add(key.slice(3 + 2 * index, 5 + 2 * index));
    }
    for (const digits of seen) expect(digits.size).toBeGreaterThan(5);
  });

  it("is well formed, as it was made or as another program makes it", async () => {
    expect(await inspectApiKey(await generateApiKey())).toBe("well_formed");
    expect(await inspectApiKey(withChecksum(`ee_${DIGITS}`))).toBe("well_formed");
  });

  it("is mistyped with any one digit another", async () => {
    const key = withChecksum(`ee_${DIGITS}`);
    for (let at = 3; at < key.length; at += 1) {
      const other = key[at] === "0" ? "1" : "0";
      expect(await inspectApiKey(key.slice(0, at) + other + key.slice(at + 1)), `digit ${at}`).toBe("mistyped");
    }
  });

  it.each([
    { what: "of which a digit is missing", text: withChecksum(`ee_${DIGITS.slice(1)}`) },
    { what: "with a digit too many", text: withChecksum(`ee_${DIGITS}0`) },
    { what: "in capitals", text: withChecksum(`ee_${DIGITS.toUpperCase()}`) },
    { what: "with a letter that is no digit before the others", text: withChecksum(`ee_g${DIGITS}`) },
    { what: "with a letter that is no digit behind the others", text: withChecksum(`ee_${DIGITS}g`) },
    { what: "without its checksum", text: `ee_${DIGITS}` },
    { what: "with its checksum in capitals", text: `ee_${DIGITS}${sha256(`ee_${DIGITS}`).slice(0, 8).toUpperCase()}` },
    { what: "cut off after ee_", text: "ee_" },
  ])("is mistyped $what", async ({ text }) => {
    expect(await inspectApiKey(text)).toBe("mistyped");
  });

  it.each([
    { text: "" },
    { text: "admin" },
    { text: withChecksum(DIGITS) },
    { text: withChecksum(`EE_${DIGITS}`) },
    { text: ` ${withChecksum(`ee_${DIGITS}`)}` },
  ])("is not what begins otherwise: $text", async ({ text }) => {
    expect(await inspectApiKey(text)).toBe("none");
  });

  it("is known by the first 16 digits of its SHA-256", async () => {
    expect(await sha256Hex("ключ")).toBe(sha256("ключ"));
    expect(apiKeyId(DIGITS)).toBe("0123456789abcdef");
  });
});
