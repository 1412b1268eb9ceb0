import { timingSafeEqual } from "hono/utils/buffer";
import { decodeBase64, encodeBase64 } from "hono/utils/encode";
import { signHmac } from "./hmac.ts";

// Signatures as https://www.standardwebhooks.com specifies: HMAC-SHA256 of `id.timestamp.body`, in base64.

const TOLERANCE_SECONDS = 300;

/** True for a secret that can sign: `whsec_`, which may be missing, and base64. */
export function isWebhookSecret(secret: string): boolean {
  const base64 = base64Of(secret);
  return base64.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(base64);
}

/**
 * The headers that sign a body.
 * @param at epoch milliseconds
 */
export async function standardHeaders(secret: string, id: string, body: string, at: number) {
  const timestamp = String(Math.floor(at / 1000));
  return {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": await sign(secret, id, timestamp, body),
  };
}

/**
 * Verifies a signature in constant time, with a tolerance of five minutes. A sender that replaces its secret signs with
 * both, so one valid signature suffices.
 * @param now epoch milliseconds
 */
export async function isSignedStandard(secret: string, headers: Headers, body: string, now: number): Promise<boolean> {
  const id = headers.get("webhook-id") ?? "";
  const timestamp = headers.get("webhook-timestamp") ?? "";
  const signatures = (headers.get("webhook-signature") ?? "").split(" ");
  if (id === "" || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(Math.floor(now / 1000) - Number(timestamp)) > TOLERANCE_SECONDS) return false;
  const expected = await sign(secret, id, timestamp, body);
  const matches = await Promise.all(signatures.map((signature) => timingSafeEqual(signature, expected)));
  return matches.includes(true);
}

async function sign(secret: string, id: string, timestamp: string, body: string): Promise<string> {
  const signature = await signHmac(decodeBase64(base64Of(secret)), `${id}.${timestamp}.${body}`);
  return `v1,${encodeBase64(signature.buffer)}`;
}

const base64Of = (secret: string) => secret.replace(/^whsec_/, "");
