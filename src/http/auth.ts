import type { MiddlewareHandler } from "hono";
import { timingSafeEqual } from "hono/utils/buffer";
import { refuse } from "./problem.ts";

export type Right = "read" | "write";

export type AuthSettings = { adminToken: string | null; readToken: string | null; publicRead: boolean };

/** Lets through who has the right: ADMIN_TOKEN both, READ_TOKEN only to read. A token that is not set opens nothing. */
export function requireRight(settings: AuthSettings, right: Right): MiddlewareHandler {
  return async (c, next) => {
    if (right === "read" && settings.publicRead) return next();
    const token = /^Bearer +(\S+)$/i.exec(c.req.header("Authorization") ?? "")?.[1];
    if (token === undefined) {
      return refuse({ kind: "unauthorized", detail: "Send Authorization: Bearer and a token.", challenge: "Bearer" });
    }
    if (await isSame(token, settings.adminToken)) return next();
    if (await isSame(token, settings.readToken)) return right === "read" ? next() : refuse({ kind: "forbidden" });
    return refuse({
      kind: "unauthorized",
      detail: "This token is not known here.",
      challenge: 'Bearer error="invalid_token"',
    });
  };
}

/** In constant time, whatever the two have in common. */
async function isSame(token: string, expected: string | null): Promise<boolean> {
  return expected !== null && (await timingSafeEqual(token, expected));
}
