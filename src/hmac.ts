// HMAC-SHA256 of texts, with a key that is text or bytes.

type Key = string | Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

export async function signHmac(key: Key, text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", await importKey(key), encoder.encode(text)));
}

/** Compares in constant time. */
export async function verifyHmac(key: Key, text: string, signature: Uint8Array<ArrayBuffer>): Promise<boolean> {
  return crypto.subtle.verify("HMAC", await importKey(key), signature, encoder.encode(text));
}

function importKey(key: Key): Promise<CryptoKey> {
  const bytes = typeof key === "string" ? encoder.encode(key) : key;
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}
