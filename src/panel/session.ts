import type { Context } from "hono";
import { deleteCookie, getSignedCookie, setSignedCookie } from "hono/cookie";
import type { AppEnv } from "../http/request-context.ts";
import type { Caller, SignIn } from "../http/authentication.ts";

const COOKIE = "session";
const LASTS_SECONDS = 12 * 3600;

export type Sessions = {
  /** Whoever has signed in, if their token is still good; null: nobody. */
  callerOf(c: Context<AppEnv>): Promise<Caller | null>;
  open(c: Context<AppEnv>, sha256: string): Promise<void>;
  close(c: Context<AppEnv>): void;
};

/**
 * Sessions that are all in a signed cookie: the SHA-256 of the token that somebody signed in with, and until when. So a
 * token that is revoked or replaced ends the sessions that it began.
 */
export function createSessions(secret: string, signIn: SignIn, clock: () => number): Sessions {
  const options = (c: Context<AppEnv>) => {
    const secure = new URL(c.req.url).protocol === "https:";
    return { path: "/", httpOnly: true, sameSite: "Lax", secure } as const;
  };
  return {
    async callerOf(c) {
      const value = await getSignedCookie(c, secret, COOKIE);
      const [, sha256, until] = /^([0-9a-f]{64})\.(\d{1,15})$/.exec(value || "") ?? [];
      if (sha256 === undefined || Number(until) <= clock()) return null;
      return signIn.recognise(sha256);
    },
    open: (c, sha256) =>
      setSignedCookie(c, COOKIE, `${sha256}.${clock() + LASTS_SECONDS * 1000}`, secret, {
        ...options(c),
        maxAge: LASTS_SECONDS,
      }),
    close: (c) => void deleteCookie(c, COOKIE, options(c)),
  };
}
