const PREFIX = "ee_";
const CHECKSUM_DIGITS = 8;

/**
 * A new key: `ee_`, 256 random bits and a checksum, in hexadecimal. The checksum tells a typo from a wrong key without
 * asking anyone; it is no secret.
 */
export async function generateApiKey(): Promise<string> {
  const key = PREFIX + toHex(crypto.getRandomValues(new Uint8Array(32)));
  return key + (await checksumOf(key));
}

/** `none`: not a key of ours at all. */
export async function inspectApiKey(text: string): Promise<"well_formed" | "mistyped" | "none"> {
  if (!text.startsWith(PREFIX)) return "none";
  const [key, checksum] = [text.slice(0, -CHECKSUM_DIGITS), text.slice(-CHECKSUM_DIGITS)];
  const fits = /^[0-9a-f]{64}$/.test(key.slice(PREFIX.length)) && checksum === (await checksumOf(key));
  return fits ? "well_formed" : "mistyped";
}

/** A key's id: whoever finds a key can tell which one it is, and nobody can tell the key from it. */
export function apiKeyId(sha256: string): string {
  return sha256.slice(0, 16);
}

export async function sha256Hex(text: string): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
}

async function checksumOf(key: string): Promise<string> {
  return (await sha256Hex(key)).slice(0, CHECKSUM_DIGITS);
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
