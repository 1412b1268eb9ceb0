import type { Context } from "hono";
import { refuse } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { loginPath } from "./login-path.ts";
import { NOT_SIGNED_IN, signInAgainPage } from "./message-pages.ts";

/** The path to return to after signing in: only a path of this service, in printable ASCII without backslashes. */
export function safeNextPath(next: string | null | undefined): string {
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(next ?? "") ? (next ?? "/") : "/";
}

/** The forms with text that a visitor has typed. */
const TYPED = /\/(new|edit|api-keys)$/;

/**
 * Asks a visitor to sign in. The visitor then returns to the page. A form with typed text gets a page of its own, because a
 * redirect would lose the text; once the visitor has signed in, reloading that page sends the form again. The page's script
 * gets a 401.
 */
export function askToSignIn(c: Context<AppEnv>): Response | Promise<Response> {
  if (wantsJson(c)) return refuse(NOT_SIGNED_IN);
  if (c.req.method === "POST" && TYPED.test(c.req.path)) return signInAgainPage(c);
  return c.redirect(loginPath(c), 303);
}

/** True for requests of the page's script. */
export function wantsJson(c: Context<AppEnv>): boolean {
  return /\bapplication\/json\b/.test(c.req.header("Accept") ?? "");
}
