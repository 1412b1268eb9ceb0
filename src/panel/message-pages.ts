import type { Context } from "hono";
import { problemOf, type Refusal } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { htmlResponse } from "./html-response.ts";
import type { PageFrame } from "./layout.ts";
import { markup } from "./markup.ts";

type Frame = Omit<PageFrame, "title">;

export function experimentNotFound(c: Context<AppEnv>, frame: Frame): Promise<Response> {
  const main = markup`<h1>Not found</h1><p>This experiment does not exist, or you do not have access to it.</p>`;
  return htmlResponse(c, { title: "Not found", ...frame }, main, { status: 404 });
}

export function forbiddenPage(c: Context<AppEnv>, frame: Frame, detail: string): Promise<Response> {
  const main = markup`<h1>No access</h1><p>${detail}</p><p><a href="/">Experiments</a></p>`;
  return htmlResponse(c, { title: "No access", ...frame }, main, { status: 403 });
}

export const NOT_SIGNED_IN: Refusal = {
  kind: "unauthorized",
  detail: "You are not signed in. Sign in first.",
  challenge: "Bearer",
};

/** The answer to a form without a session. */
export function signInAgainPage(c: Context<AppEnv>): Promise<Response> {
  const main = markup`<h1>Sign in again</h1>
<p>You are not signed in, so nothing was changed. <a href="/login" target="_blank">Sign in in a new tab</a>, then reload this page to send the form again.</p>`;
  const { status, headers } = problemOf(NOT_SIGNED_IN);
  return htmlResponse(c, { title: "Sign in again", signedIn: null }, main, { status, headers });
}

/** The answer to a form that can't be read. Browsers keep what was entered for their way back. */
export function refusedFormPage(c: Context<AppEnv>, frame: Frame, refusal: Refusal): Promise<Response> {
  const { title, detail, status, headers } = problemOf(refusal);
  const main = markup`<h1>${title}</h1><p>${detail} To change the form, go back.</p>`;
  return htmlResponse(c, { title, ...frame }, main, { status, headers });
}

/** Explains why an experiment of Flagsmith has no forms. */
export function otherSourcePage(c: Context<AppEnv>, frame: Frame, id: string): Promise<Response> {
  const { title, detail, status } = problemOf({ kind: "other_source" });
  const path = `/experiments/${encodeURIComponent(id)}`;
  const main = markup`<h1>${title}</h1><p>${detail}</p><p><a href="${path}">The experiment</a></p>`;
  return htmlResponse(c, { title, ...frame }, main, { status });
}

export const READ_ONLY = "Your access is read-only. Sign in with ADMIN_TOKEN or a key with the role write.";
