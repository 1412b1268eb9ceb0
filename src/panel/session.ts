import type { Context } from "hono";
import { deleteCookie, getSignedCookie, setSignedCookie } from "hono/cookie";
import type { Authentication } from "../http/authentication.ts";
import type { Caller } from "../http/caller.ts";
import type { Credential } from "../http/credentials.ts";
import { type AppEnv, originOf } from "../http/request-context.ts";
import type { Database } from "../store/database.ts";
import { endSession, isSessionEnded } from "../store/ended-sessions.ts";
import { createTtlCache } from "../ttl-cache.ts";
import type { CredentialReferences } from "./credential-references.ts";

const COOKIE = "session";
const LIFETIME_MS = 12 * 3_600_000;
/** The longest time for which another isolate still accepts a session after sign-out. */
const CACHE_MS = 30_000;
const MAX_CACHED = 1_000;

export type Session = {
  id: string;
  /** Epoch milliseconds. */
  expiresAt: number;
  credential: Credential;
  /** Refers to the credential. */
  reference: string;
};

export type Sessions = {
  /** The visitor's session; null if there is none, if it has ended, or if its credential is no longer valid. */
  find(c: Context<AppEnv>): Promise<Session | null>;
  open(c: Context<AppEnv>, caller: Caller): Promise<void>;
  close(c: Context<AppEnv>): Promise<void>;
};

export type SessionDeps = {
  secret: string;
  references: CredentialReferences;
  authentication: Authentication;
  database: Database;
  clock: () => number;
};

/**
 * Sessions in a signed cookie, which holds a random id, a reference to the visitor's credential and the time of expiry.
 * The database has only the sessions that ended early. A revoked key or a replaced token ends its sessions.
 */
export function createSessions({ secret, references, authentication, database, clock }: SessionDeps): Sessions {
  const outcomes = createTtlCache<"live" | "ended">(CACHE_MS, MAX_CACHED, clock);
  const optionsFor = (c: Context<AppEnv>) => {
    return { path: "/", httpOnly: true, sameSite: "Lax", secure: originOf(c).startsWith("https:") } as const;
  };

  async function isEnded(id: string): Promise<boolean> {
    const known = outcomes.get(id);
    if (known !== undefined) return known === "ended";
    const since = clock();
    const found = await isSessionEnded(database, id);
    // A sign-out during the read prevails.
    if (outcomes.get(id) === undefined) outcomes.set(id, found ? "ended" : "live", since);
    return found;
  }

  async function find(c: Context<AppEnv>): Promise<Session | null> {
    const value = await getSignedCookie(c, secret, COOKIE);
    const [, id, reference, end] = /^([0-9a-f]{32})\.([0-9a-f]{16,32})\.(\d{1,15})$/.exec(value || "") ?? [];
    const expiresAt = Number(end);
    if (id === undefined || reference === undefined || expiresAt <= clock()) return null;
    const name = await references.nameOf(reference);
    if (name === null) return null;
    const [credential, ended] = await Promise.all([authentication.credentialNamed(name), isEnded(id)]);
    return credential === null || ended ? null : { id, expiresAt, credential, reference };
  }

  return {
    find,
    async open(c, caller) {
      const id = crypto.getRandomValues(new Uint8Array(16)).toHex();
      const value = `${id}.${await references.of(caller)}.${clock() + LIFETIME_MS}`;
      await setSignedCookie(c, COOKIE, value, secret, { ...optionsFor(c), maxAge: LIFETIME_MS / 1000 });
    },
    async close(c) {
      const session = await find(c);
      if (session !== null) {
        await endSession(database, session.id, session.expiresAt, clock());
        outcomes.set(session.id, "ended");
      }
      deleteCookie(c, COOKIE, optionsFor(c));
    },
  };
}
