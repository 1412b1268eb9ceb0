import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { isSignedHex } from "../../src/http/webhook-signatures.ts";

describe("isSignedHex", () => {
  // RFC 4231, test case 2.
  const secret = "Jefe";
  const body = "what do ya want for nothing?";
  const signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

  it("accepts lower and upper case", async () => {
    expect(await isSignedHex(secret, signature, body)).toBe(true);
    expect(await isSignedHex(secret, signature.toUpperCase(), body)).toBe(true);
  });

  it("uses the UTF-8 bytes of the secret and of the body", async () => {
    const hex = createHmac("sha256", "gehëim").update("☃").digest("hex");
    expect(await isSignedHex("gehëim", hex, "☃")).toBe(true);
  });

  it.each([
    { what: "of another body", text: `${body} `, hex: signature },
    { what: "with one digit changed", text: body, hex: `${signature.slice(0, -1)}4` },
    { what: "without its last digit", text: body, hex: signature.slice(0, -1) },
    { what: "without its last byte", text: body, hex: signature.slice(0, -2) },
    { what: "with an extra digit", text: body, hex: `${signature}0` },
    { what: "with an extra digit in front", text: body, hex: `0${signature}` },
    { what: "with a trailing space", text: body, hex: `${signature} ` },
    { what: "with a scheme in front", text: body, hex: `sha256=${signature}` },
    { what: "with a character that is not a digit", text: body, hex: `${signature.slice(0, -1)}g` },
    { what: "without any digit", text: body, hex: "" },
  ])("rejects a signature $what", async ({ text, hex }) => {
    expect(await isSignedHex(secret, hex, text)).toBe(false);
  });

  it("rejects the signature of another secret", async () => {
    expect(await isSignedHex("jefe", signature, body)).toBe(false);
  });
});
