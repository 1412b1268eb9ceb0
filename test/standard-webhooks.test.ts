import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { isSignedStandard, isWebhookSecret, standardHeaders } from "../src/standard-webhooks.ts";

const SECRET = `whsec_${Buffer.from("secret of the tests").toString("base64")}`;
const OTHER_SECRET = `whsec_${Buffer.from("another secret").toString("base64")}`;
const MINUTE = 60_000;

describe("standardHeaders", () => {
  it("creates the signature of the specification's example", async () => {
    // https://docs.svix.com/receiving/verifying-payloads/how-manual
    const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    expect(await standardHeaders(secret, id, '{"test": 2432232314}', 1_614_265_330_999)).toEqual({
      "webhook-id": id,
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    });
  });

  it.each([SECRET, SECRET.replace("whsec_", "")])(
    "passes the official library's check, with the secret %s",
    async (secret) => {
      const headers = await standardHeaders(secret, "msg_☃", '{"name":"ü"}', Date.now());
      expect(new Webhook(secret).verify('{"name":"ü"}', headers)).toEqual({ name: "ü" });
    },
  );
});

describe("isWebhookSecret", () => {
  it.each([SECRET, SECRET.replace("whsec_", ""), "whsec_Zm9v", "whsec_Zm8="])("accepts %s", (secret) => {
    expect(isWebhookSecret(secret)).toBe(true);
    expect(new Webhook(secret)).toBeInstanceOf(Webhook);
  });

  it.each([
    "",
    "whsec_",
    "whsec_A",
    "whsec_Zm8",
    "whsec_Zm9v-_",
    "whsec_not base64!",
    "whsec_====",
    "whsec_Zm9v====",
    "!whsec_Zm9",
    "-Zm9",
  ])("rejects %j", (secret) => {
    expect(isWebhookSecret(secret)).toBe(false);
  });
});

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

  it("accepts the signature of the body, and of no other body or secret", async () => {
    const headers = new Headers(sign(body));
    expect(await isSignedStandard(SECRET, headers, body, Date.now())).toBe(true);
    expect(await isSignedStandard(SECRET, headers, `${body} `, Date.now())).toBe(false);
    expect(await isSignedStandard(OTHER_SECRET, headers, body, Date.now())).toBe(false);
  });

  it("accepts a body that is not JSON", async () => {
    expect(await isSignedStandard(SECRET, new Headers(sign("{")), "{", Date.now())).toBe(true);
  });

  it.each(["webhook-id", "webhook-timestamp", "webhook-signature"])(
    "rejects a signature without the header %s",
    async (name) => {
      const headers = new Headers(sign(body));
      headers.delete(name);
      expect(await isSignedStandard(SECRET, headers, body, Date.now())).toBe(false);
    },
  );

  it.each(["webhook-id", "webhook-timestamp"])("rejects a changed header %s", async (name) => {
    const headers = new Headers(sign(body));
    headers.set(name, String(Math.floor(Date.now() / 1000) - 1));
    expect(await isSignedStandard(SECRET, headers, body, Date.now())).toBe(false);
  });

  it("accepts one valid signature of several, for the rotation of a secret", async () => {
    const both = [OTHER_SECRET, SECRET].map((secret) => sign(body, { secret })["webhook-signature"]).join(" ");
    const headers = new Headers({ ...sign(body), "webhook-signature": both });
    expect(await isSignedStandard(SECRET, headers, body, Date.now())).toBe(true);
  });

  it.each([
    { what: "of another version", signature: (v1: string) => v1.replace("v1,", "v2,") },
    { what: "without a version", signature: (v1: string) => v1.slice(3) },
    { what: "without its last character", signature: (v1: string) => v1.slice(0, -1) },
    { what: "with an extra character", signature: (v1: string) => `${v1}=` },
    { what: "that is empty", signature: () => "" },
  ])("rejects a signature $what", async ({ signature }) => {
    const signed = sign(body);
    const headers = new Headers({ ...signed, "webhook-signature": signature(signed["webhook-signature"] ?? "") });
    expect(await isSignedStandard(SECRET, headers, body, Date.now())).toBe(false);
  });

  /** Signs any texts, also malformed ones. */
  function signTexts(id: string, timestamp: string): Headers {
    const key = Buffer.from(SECRET.slice("whsec_".length), "base64");
    const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
    const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
    return new Headers(headers);
  }

  it.each(["100", "0100", "0"])("accepts the timestamp %j", async (timestamp) => {
    expect(await isSignedStandard(SECRET, signTexts("msg_1", timestamp), body, 100_000)).toBe(true);
  });

  it.each(["1e2", "-1", "0x64", "1.5", "100s", "", "0000000000100"])("rejects the timestamp %j", async (timestamp) => {
    expect(await isSignedStandard(SECRET, signTexts("msg_1", timestamp), body, 100_000)).toBe(false);
  });

  it("rejects a signature for an empty id", async () => {
    expect(await isSignedStandard(SECRET, signTexts("", "100"), body, 100_000)).toBe(false);
  });

  it.each([
    { now: 400_999, isValid: true },
    { now: 401_000, isValid: false },
  ])("tolerates 300 seconds, at $now", async ({ now, isValid }) => {
    expect(await isSignedStandard(SECRET, signTexts("msg_1", "100"), body, now)).toBe(isValid);
  });

  it.each([
    { when: "four minutes old", later: -4 * MINUTE, isValid: true },
    { when: "six minutes old", later: -6 * MINUTE, isValid: false },
    { when: "four minutes ahead", later: 4 * MINUTE, isValid: true },
    { when: "six minutes ahead", later: 6 * MINUTE, isValid: false },
  ])("tolerates five minutes: $when", async ({ later, isValid }) => {
    expect(await isSignedStandard(SECRET, new Headers(sign(body, { later })), body, Date.now())).toBe(isValid);
  });
});
