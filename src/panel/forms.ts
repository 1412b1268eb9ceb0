import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { isOfType, KIB, readText } from "../http/body.ts";
import { type Refusal, refuse } from "../http/problem.ts";
import type { AppEnv } from "../http/request-context.ts";
import { failed, ok, type Result } from "../result.ts";

const FORM = "application/x-www-form-urlencoded";

/** Refuses POST requests from pages of other sites, whatever their content type. */
export const sameOriginForms = createMiddleware<AppEnv>(async (c, next) => {
  if (c.req.method === "POST" && !isSameOrigin(c))
    return refuse({
      kind: "forbidden",
      detail: "This form was sent from another site. Submit it on a page of this service.",
    });
  return next();
});

/**
 * The rule of Go's CrossOriginProtection: Sec-Fetch-Site decides, or the host of Origin for older browsers. A client that
 * sends neither is not a browser, and no site can make it send a visitor's cookie.
 */
function isSameOrigin(c: Context<AppEnv>): boolean {
  const [site, origin] = [c.req.header("Sec-Fetch-Site"), c.req.header("Origin")];
  if (site !== undefined) return site === "same-origin";
  return origin === undefined || origin === c.var.publicUrl || URL.parse(origin)?.host === new URL(c.req.url).host;
}

/**
 * Reads the fields of a form.
 * @param limit the max length in bytes. The default is for forms that anyone may send.
 */
export async function readForm(c: Context<AppEnv>, limit = 64 * KIB): Promise<Result<URLSearchParams, Refusal>> {
  if (!isOfType(c.req.header("Content-Type"), FORM)) return failed({ kind: "unsupported_media_type", type: FORM });
  const text = await readText(c, limit);
  return text.ok ? ok(new URLSearchParams(text.value ?? "")) : text;
}
