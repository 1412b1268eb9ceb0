import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { isOfType, KIB, readText } from "../http/body.ts";
import { type Refusal, refuse } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { failed, ok, type Result } from "../result.ts";

const FORM = "application/x-www-form-urlencoded";

/** Refuses what pages of others send, whatever they call its type: a browser says of each POST where it comes from. */
export const sameOriginForms = createMiddleware<AppEnv>(async (c, next) => {
  if (c.req.method === "POST" && !isSameOrigin(c))
    return refuse({ kind: "forbidden", detail: "Forms are taken from the pages of this service only." });
  return next();
});

/**
 * As Go's CrossOriginProtection decides: by what browsers of today send, else by the host in what older ones send. Who
 * sends neither is no browser, whom nobody can make send a visitor's cookie.
 */
function isSameOrigin(c: Context<AppEnv>): boolean {
  const [site, origin] = [c.req.header("Sec-Fetch-Site"), c.req.header("Origin")];
  if (site !== undefined) return site === "same-origin";
  return origin === undefined || URL.parse(origin)?.host === new URL(c.req.url).host;
}

/** The fields of a form, of which anyone may send a long one. */
export async function readForm(c: Context<AppEnv>): Promise<Result<URLSearchParams, Refusal>> {
  if (!isOfType(c.req.header("Content-Type"), FORM)) return failed({ kind: "unsupported_media_type", type: FORM });
  const text = await readText(c, 64 * KIB);
  return text.ok ? ok(new URLSearchParams(text.value ?? "")) : text;
}
