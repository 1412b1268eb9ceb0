import type { Context } from "hono";
import { problemOf } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { htmlResponse } from "./html-response.ts";
import { markup } from "./markup.ts";

type Frame = { signedIn: boolean; shared?: boolean };

export function experimentNotFound(c: Context<AppEnv>, frame: Frame): Promise<Response> {
  const main = markup`<h1>Not found</h1><p>This experiment does not exist, or you do not have access to it.</p>`;
  return htmlResponse(c, { title: "Not found", ...frame }, main, { status: 404 });
}

export function forbiddenPage(c: Context<AppEnv>, frame: Frame, detail: string): Promise<Response> {
  const main = markup`<h1>No access</h1><p>${detail}</p><p><a href="/">Experiments</a></p>`;
  return htmlResponse(c, { title: "No access", ...frame }, main, { status: 403 });
}

/** Explains why an experiment of Flagsmith has no forms. */
export function otherSourcePage(c: Context<AppEnv>, frame: Frame, id: string): Promise<Response> {
  const { title, detail, status } = problemOf({ kind: "other_source" });
  const path = `/experiments/${encodeURIComponent(id)}`;
  const main = markup`<h1>${title}</h1><p>${detail}</p><p><a href="${path}">The experiment</a></p>`;
  return htmlResponse(c, { title, ...frame }, main, { status });
}

export const READ_ONLY = "Your access is read-only. Sign in with ADMIN_TOKEN or a key with the role write.";
