import { type Frame, layout } from "./layout.ts";
import type { Markup } from "./markup.ts";

const CONTENT_SECURITY = [
  ...["default-src 'none'", "style-src 'self'", "script-src 'self'", "img-src 'self'", "connect-src 'self'"],
  ...["form-action 'self'", "base-uri 'none'"],
];

/** Headers of a refusal that a page must have too. */
const REFUSAL_HEADERS = ["retry-after", "www-authenticate"];

/** A page as an answer. @param because headers of the refusal that it tells of */
export function show(frame: Frame, main: Markup, status = 200, because: Headers | null = null): Response {
  const embedding = frame.shared ? "frame-ancestors *" : "frame-ancestors 'none'";
  return new Response(layout(frame, main).toString(), {
    status,
    headers: {
      ...Object.fromEntries([...(because ?? [])].filter(([name]) => REFUSAL_HEADERS.includes(name))),
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": [...CONTENT_SECURITY, embedding].join("; "),
      "X-Content-Type-Options": "nosniff",
      // Not even our own pages need to know the signature of a link.
      "Referrer-Policy": frame.shared ? "no-referrer" : "same-origin",
      "Cache-Control": "private, no-store",
    },
  });
}
