import { type Context, Hono } from "hono";
import type { Authentication } from "../http/authentication.ts";
import { problemOf } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { readForm } from "./forms.ts";
import { htmlResponse, type PageOptions } from "./html-response.ts";
import { loginPage } from "./login-page.ts";
import { refusedFormPage } from "./message-pages.ts";
import { safeNextPath } from "./redirects.ts";
import { isShareLink } from "./share-link.ts";
import type { Visitors } from "./visitors.ts";

const NOT_CONFIGURED = "Sign-in is not configured. Set the secret SESSION_SECRET.";
const INVALID_LINK = "This link has expired or is not valid. Ask for a new one, or sign in.";

export function sessionRoutes(authentication: Authentication, { sessions }: Visitors): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  function showLogin(c: Context<AppEnv>, next: string, problem: string | null, options?: PageOptions) {
    return htmlResponse(c, { title: "Sign in", signedIn: null }, loginPage(next, problem), options);
  }

  app.get("/login", (c) => {
    const next = safeNextPath(c.req.query("next"));
    const problem = isShareLink(next) ? INVALID_LINK : null;
    return showLogin(c, next, sessions === null ? NOT_CONFIGURED : problem);
  });

  app.post("/login", async (c) => {
    const form = await readForm(c);
    if (!form.ok) return refusedFormPage(c, { signedIn: null }, form.failure);
    const next = safeNextPath(form.value.get("next"));
    if (sessions === null) return showLogin(c, next, NOT_CONFIGURED, { status: 503 });
    const signedIn = await authentication.signIn(c, (form.value.get("token") ?? "").trim());
    if (!signedIn.ok) {
      const { status, detail, headers } = problemOf(signedIn.failure);
      return showLogin(c, next, detail, { status, headers });
    }
    await sessions.open(c, signedIn.value);
    return c.redirect(next, 303);
  });

  app.post("/logout", async (c) => {
    await sessions?.close(c);
    return c.redirect("/login", 303);
  });

  return app;
}
