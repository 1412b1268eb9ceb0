const PREFIX = "ee_";
const CHECKSUM_DIGITS = 8;

/**
 * Generates an API key: `ee_`, 256 random bits and a checksum, in hexadecimal. The checksum tells a typo from an unknown key
 * without a database lookup. It is not secret.
 */
export async function generateApiKey(): Promise<string> {
  const key = PREFIX + crypto.getRandomValues(new Uint8Array(32)).toHex();
  return key + (await checksumOf(key));
}

/** Checks the format of a key. `none` means that the text is not an API key of this product. */
export async function inspectApiKey(text: string): Promise<"well_formed" | "mistyped" | "none"> {
  if (!text.startsWith(PREFIX)) return "none";
  const [key, checksum] = [text.slice(0, -CHECKSUM_DIGITS), text.slice(-CHECKSUM_DIGITS)];
  const isValid = /^[0-9a-f]{64}$/.test(key.slice(PREFIX.length)) && checksum === (await checksumOf(key));
  return isValid ? "well_formed" : "mistyped";
}

/** The id of a key, derived from its hash. The key cannot be derived from its id. */
export function apiKeyId(sha256: string): string {
  return sha256.slice(0, 16);
}

export async function sha256Hex(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toHex();
}

async function checksumOf(key: string): Promise<string> {
  return (await sha256Hex(key)).slice(0, CHECKSUM_DIGITS);
}
