import { decodeBase64Url, encodeBase64Url } from "hono/utils/encode";

const encoder = new TextEncoder();

/** What a link may open: one of these, of one experiment. */
export const shareKinds = ["page", "svg", "csv"] as const;
export type ShareKind = (typeof shareKinds)[number];

export type ShareLink = {
  kind: ShareKind;
  experimentId: string;
  /** Where the experiment is: one that moves, or another of the same id elsewhere, was never shared. */
  environmentKey: string;
  /** The last day, in UTC: `2026-12-31`. */
  until: string;
};

/** The signature of a link, which another secret makes worthless. */
export async function signShareLink(secret: string, shared: ShareLink): Promise<string> {
  const signature = await crypto.subtle.sign("HMAC", await keyOf(secret), bytesOf(shared));
  return encodeBase64Url(signature).replaceAll("=", "");
}

/** Whether somebody who knows the secret has made this link, and its last day is not over. In constant time. */
export async function verifyShareLink(
  secret: string,
  shared: ShareLink,
  signature: string,
  now: number,
): Promise<boolean> {
  // 256 bits, in characters that decode whatever they are.
  if (isPast(shared.until, now) || !/^[\w-]{43}$/.test(signature)) return false;
  return crypto.subtle.verify("HMAC", await keyOf(secret), decodeBase64Url(signature), bytesOf(shared));
}

/** Whether that was the last moment of a day in UTC, or it is no day at all. */
export function isPast(day: string, now: number): boolean {
  return !/^\d{4}-\d\d-\d\d$/.test(day) || !(now < Date.parse(`${day}T24:00:00.000Z`));
}

/** A prefix, so that the signature is good for nothing else that the secret signs. */
function bytesOf({ kind, experimentId, environmentKey, until }: ShareLink) {
  return encoder.encode(JSON.stringify(["share", kind, experimentId, environmentKey, until]));
}

function keyOf(secret: string): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}
