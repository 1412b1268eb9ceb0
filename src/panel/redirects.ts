import type { Context } from "hono";
import { refuse } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";

/** The path to return to after signing in: only a path of this service, in printable ASCII without backslashes. */
export function safeNextPath(next: string | null | undefined): string {
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(next ?? "") ? (next ?? "/") : "/";
}

/** Redirects a visitor to the login page. The page's script gets a 401 instead. */
export function redirectToLogin(c: Context<AppEnv>): Response {
  if (wantsJson(c))
    return refuse({ kind: "unauthorized", detail: "You are not signed in. Sign in first.", challenge: "Bearer" });
  const { pathname, search } = new URL(c.req.url);
  const next = c.req.method === "GET" ? `?next=${encodeURIComponent(pathname + search)}` : "";
  return c.redirect(`/login${next}`, 303);
}

/** True for requests of the page's script. */
export function wantsJson(c: Context<AppEnv>): boolean {
  return /\bapplication\/json\b/.test(c.req.header("Accept") ?? "");
}
