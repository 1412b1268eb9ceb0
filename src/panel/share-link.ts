import { decodeBase64Url, encodeBase64Url } from "hono/utils/encode";

const encoder = new TextEncoder();

/** The kinds of content that a link can open. Each link opens one, of one experiment. */
export const shareKinds = ["page", "svg", "csv"] as const;
export type ShareKind = (typeof shareKinds)[number];

export type ShareLink = {
  kind: ShareKind;
  experimentId: string;
  /** The experiment's environment. A link stops working when the experiment moves, or is recreated elsewhere. */
  environmentKey: string;
  /** The last day on which the link works, in UTC: `2026-12-31`. */
  until: string;
};

/** Signs a link. Replacing the secret invalidates all links. */
export async function signShareLink(secret: string, shared: ShareLink): Promise<string> {
  const signature = await crypto.subtle.sign("HMAC", await keyOf(secret), bytesOf(shared));
  return encodeBase64Url(signature).replaceAll("=", "");
}

/** Returns whether the signature is valid and the link has not expired. Compares in constant time. */
export async function verifyShareLink(
  secret: string,
  shared: ShareLink,
  signature: string,
  now: number,
): Promise<boolean> {
  // A 256-bit signature has 43 characters. Others could make the decoder throw.
  if (isPast(shared.until, now) || !/^[\w-]{43}$/.test(signature)) return false;
  return crypto.subtle.verify("HMAC", await keyOf(secret), decodeBase64Url(signature), bytesOf(shared));
}

/** Returns whether the day is over in UTC. Anything but a valid date is past. */
export function isPast(day: string, now: number): boolean {
  return !/^\d{4}-\d\d-\d\d$/.test(day) || !(now < Date.parse(`${day}T24:00:00.000Z`));
}

/** The signed content. Its prefix keeps the signature from being valid for anything else that the secret signs. */
function bytesOf({ kind, experimentId, environmentKey, until }: ShareLink) {
  return encoder.encode(JSON.stringify(["share", kind, experimentId, environmentKey, until]));
}

function keyOf(secret: string): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}
