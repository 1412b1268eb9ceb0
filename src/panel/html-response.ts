import type { Context } from "hono";
import { secureHeaders } from "hono/secure-headers";
import type { AppEnv } from "../http/request-context.ts";
import { layout, type PageFrame } from "./layout.ts";
import { loginPath } from "./login-path.ts";
import type { Markup } from "./markup.ts";

const headersFor = (frameAncestors: string, referrerPolicy: string) =>
  secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      styleSrc: ["'self'"],
      scriptSrc: ["'self'"],
      imgSrc: ["'self'"],
      connectSrc: ["'self'"],
      formAction: ["'self'"],
      baseUri: ["'none'"],
      frameAncestors: [frameAncestors],
    },
    referrerPolicy,
    // Superseded by frame-ancestors, and wrong for shared pages.
    xFrameOptions: false,
    // Set on every response.
    strictTransportSecurity: false,
  });
const ownPage = headersFor("'none'", "same-origin");
/** A shared page may be embedded anywhere. Its URL contains a signature, so it sends no referrer. */
const sharedPage = headersFor("*", "no-referrer");

export type PageOptions = { status?: number; headers?: Readonly<Record<string, string>> | undefined };

/** Responds with a page. */
export async function htmlResponse(
  c: Context<AppEnv>,
  frame: PageFrame,
  main: Markup,
  { status = 200, headers = {} }: PageOptions = {},
): Promise<Response> {
  c.res = new Response(layout(frame, main, loginPath(c)).toString(), {
    status,
    headers: { ...headers, "Content-Type": "text/html; charset=utf-8", "Cache-Control": "private, no-store" },
  });
  await (frame.shared ? sharedPage : ownPage)(c, async () => undefined);
  return c.res;
}
