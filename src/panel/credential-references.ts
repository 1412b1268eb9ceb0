import { signHmac } from "../hmac.ts";
import type { Caller } from "../http/caller.ts";
import type { Settings } from "../settings.ts";

/** Refers to credentials in sessions and share links, without revealing them. */
export type CredentialReferences = {
  /** The id of the caller's key, or the fingerprint of the caller's token. */
  of(caller: Caller): Promise<string>;
  /** The name of the credential; null if it was a token that has been replaced. */
  nameOf(reference: string): Promise<string | null>;
};

/** A fingerprint has 32 hexadecimal digits, the id of a key has 16. */
const FINGERPRINT_DIGITS = 32;

/**
 * Creates the references.
 * @param secret the key of the fingerprints: without it, guesses of a token cannot be tested against one
 */
export function createCredentialReferences(
  secret: string,
  { adminToken, readToken }: Pick<Settings, "adminToken" | "readToken">,
): CredentialReferences {
  const tokens = new Map(Object.entries({ ADMIN_TOKEN: adminToken, READ_TOKEN: readToken }));

  async function fingerprintOf(token: string): Promise<string> {
    const hash = await signHmac(secret, JSON.stringify(["token", token]));
    return hash.toHex().slice(0, FINGERPRINT_DIGITS);
  }

  return {
    async of({ name }) {
      const token = tokens.get(name) ?? null;
      return token === null ? name : fingerprintOf(token);
    },
    async nameOf(reference) {
      if (reference.length !== FINGERPRINT_DIGITS) return reference;
      for (const [name, token] of tokens) if (token !== null && (await fingerprintOf(token)) === reference) return name;
      return null;
    },
  };
}
