import type { Context } from "hono";
import type { AppEnv } from "../http/request-context.ts";

/** The path of the login page. After signing in, the visitor returns to the page of this request unless it sent a form. */
export function loginPath(c: Context<AppEnv>): string {
  if (c.req.method === "POST") return "/login";
  const { pathname, search } = new URL(c.req.url);
  return `/login?next=${encodeURIComponent(pathname + search)}`;
}
