import { verifyHmac } from "../hmac.ts";

/** Checks a hexadecimal HMAC-SHA256 of the body, in constant time. */
export async function isSignedHex(secret: string, signature: string, body: string): Promise<boolean> {
  return /^[0-9a-f]{64}$/i.test(signature) && verifyHmac(secret, body, Uint8Array.fromHex(signature));
}
