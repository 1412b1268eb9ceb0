import { Webhook } from "standardwebhooks";
import { verifyHmac } from "./hmac.ts";

/** Checks a Standard Webhooks signature, with a tolerance of five minutes. */
export function isSignedStandard(secret: string, headers: Headers, body: string): boolean {
  try {
    new Webhook(secret).verify(body, Object.fromEntries(headers), { jsonParse: false });
    return true;
  } catch {
    return false;
  }
}

/** Checks a hexadecimal HMAC-SHA256 of the body, in constant time. */
export async function isSignedHex(secret: string, signature: string, body: string): Promise<boolean> {
  return /^[0-9a-f]{64}$/i.test(signature) && verifyHmac(secret, body, Uint8Array.fromHex(signature));
}
