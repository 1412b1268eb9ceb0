import type { Context } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { type AppEnv, originOf } from "../http/request-context.ts";
import { REPLICA_LAG_MS } from "../store/database.ts";

// A visitor who has just written must not be shown older numbers by a replica that lags. A cookie says so for a minute. It
// needs no signature, because it grants nothing.

const COOKIE = "wrote";

/** Makes this visitor's later reads include the write. */
export function rememberWrite(c: Context<AppEnv>): void {
  setCookie(c, COOKIE, "1", {
    path: "/",
    httpOnly: true,
    sameSite: "Lax",
    secure: originOf(c).startsWith("https:"),
    maxAge: REPLICA_LAG_MS / 1000,
  });
}

/** Returns whether this visitor's reads must include their own writes. The response to a form always must. */
export function hasJustWritten(c: Context<AppEnv>): boolean {
  return c.req.method === "POST" || getCookie(c, COOKIE) !== undefined;
}
