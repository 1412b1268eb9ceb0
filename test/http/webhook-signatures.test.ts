import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { isSignedHex, isSignedStandard } from "../../src/http/webhook-signatures.ts";

const SECRET = `whsec_${Buffer.from("secret of the tests").toString("base64")}`;
const OTHER_SECRET = `whsec_${Buffer.from("another secret").toString("base64")}`;
const MINUTE = 60_000;

describe("isSignedStandard", () => {
  const body = '{"experiment_id":"checkout-cta"}';

  /** The headers that a sender adds, signed at `later` milliseconds from now. */
  function sign(text: string, { later = 0, secret = SECRET } = {}): Record<string, string> {
    const at = new Date(Date.now() + later);
    return {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
      "webhook-signature": new Webhook(secret).sign("msg_1", at, text),
    };
  }

  it("accepts the signature of the body, and of no other body or secret", () => {
    const headers = new Headers(sign(body));
    expect(isSignedStandard(SECRET, headers, body)).toBe(true);
    expect(isSignedStandard(SECRET, headers, `${body} `)).toBe(false);
    expect(isSignedStandard(OTHER_SECRET, headers, body)).toBe(false);
  });

  it("accepts a body that is not JSON", () => {
    expect(isSignedStandard(SECRET, new Headers(sign("{")), "{")).toBe(true);
  });

  it.each(["webhook-id", "webhook-timestamp", "webhook-signature"])(
    "rejects a signature without the header %s",
    (name) => {
      const headers = new Headers(sign(body));
      headers.delete(name);
      expect(isSignedStandard(SECRET, headers, body)).toBe(false);
    },
  );

  it.each(["webhook-id", "webhook-timestamp"])("rejects a changed header %s", (name) => {
    const headers = new Headers(sign(body));
    headers.set(name, String(Math.floor(Date.now() / 1000) - 1));
    expect(isSignedStandard(SECRET, headers, body)).toBe(false);
  });

  it("accepts one valid signature of several, for the rotation of a secret", () => {
    const both = [OTHER_SECRET, SECRET].map((secret) => sign(body, { secret })["webhook-signature"]).join(" ");
    const headers = new Headers({ ...sign(body), "webhook-signature": both });
    expect(isSignedStandard(SECRET, headers, body)).toBe(true);
  });

  it.each([
    { when: "four minutes old", later: -4 * MINUTE, isValid: true },
    { when: "six minutes old", later: -6 * MINUTE, isValid: false },
    { when: "four minutes ahead", later: 4 * MINUTE, isValid: true },
    { when: "six minutes ahead", later: 6 * MINUTE, isValid: false },
  ])("tolerates five minutes: $when", ({ later, isValid }) => {
    expect(isSignedStandard(SECRET, new Headers(sign(body, { later })), body)).toBe(isValid);
  });
});

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
