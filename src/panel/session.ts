import type { Context } from "hono";
import { deleteCookie, getSignedCookie, setSignedCookie } from "hono/cookie";
import type { Authentication } from "../http/authentication.ts";
import type { Caller } from "../http/caller.ts";
import type { AppEnv } from "../http/request-context.ts";

const COOKIE = "session";
const LIFETIME_SECONDS = 12 * 3600;

export type Sessions = {
  /** The signed-in caller; null if there is no session, or its token is no longer valid. */
  callerOf(c: Context<AppEnv>): Promise<Caller | null>;
  open(c: Context<AppEnv>, sha256: string): Promise<void>;
  close(c: Context<AppEnv>): void;
};

/**
 * Stateless sessions in a signed cookie, which holds the SHA-256 of the visitor's token and the time of expiry. A token
 * that is revoked or replaced ends its sessions.
 */
export function createSessions(secret: string, authentication: Authentication, clock: () => number): Sessions {
  const options = (c: Context<AppEnv>) => {
    const secure = new URL(c.req.url).protocol === "https:";
    return { path: "/", httpOnly: true, sameSite: "Lax", secure } as const;
  };
  return {
    async callerOf(c) {
      const value = await getSignedCookie(c, secret, COOKIE);
      const [, sha256, until] = /^([0-9a-f]{64})\.(\d{1,15})$/.exec(value || "") ?? [];
      if (sha256 === undefined || Number(until) <= clock()) return null;
      return authentication.callerOfSession(sha256);
    },
    open: (c, sha256) =>
      setSignedCookie(c, COOKIE, `${sha256}.${clock() + LIFETIME_SECONDS * 1000}`, secret, {
        ...options(c),
        maxAge: LIFETIME_SECONDS,
      }),
    close: (c) => void deleteCookie(c, COOKIE, options(c)),
  };
}
