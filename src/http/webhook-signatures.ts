import { Webhook } from "standardwebhooks";

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
  if (!/^[0-9a-f]{64}$/i.test(signature)) return false;
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["verify"]);
  return crypto.subtle.verify("HMAC", key, Uint8Array.fromHex(signature), encoder.encode(body));
}
