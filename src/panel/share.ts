const encoder = new TextEncoder();

/** What a link may open: one of these, of one experiment. */
export const sharedKinds = ["page", "svg", "csv"] as const;
export type SharedKind = (typeof sharedKinds)[number];

export type Shared = {
  kind: SharedKind;
  experimentId: string /** The last day, in UTC: `2026-12-31`. */;
  until: string;
};

/** The signature of a link, which another secret makes worthless. */
export async function signShare(secret: string, shared: Shared): Promise<string> {
  const signature = await crypto.subtle.sign("HMAC", await keyOf(secret), bytesOf(shared));
  return new Uint8Array(signature).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Whether somebody who knows the secret has made this link, and its last day is not over. In constant time. */
export async function isShared(secret: string, shared: Shared, signature: string, now: number): Promise<boolean> {
  const end = Date.parse(`${shared.until}T24:00:00.000Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(shared.until) || !(now < end)) return false;
  try {
    const given = Uint8Array.fromBase64(signature, { alphabet: "base64url" });
    return await crypto.subtle.verify("HMAC", await keyOf(secret), given, bytesOf(shared));
  } catch {
    return false;
  }
}

/** A prefix, so that the signature is good for nothing else that the secret signs. */
const bytesOf = ({ kind, experimentId, until }: Shared) => encoder.encode(`share ${kind} ${experimentId} ${until}`);

function keyOf(secret: string): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
}
