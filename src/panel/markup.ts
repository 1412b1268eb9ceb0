import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";

export type Markup = HtmlEscapedString;

/** A template tag for HTML and SVG. It escapes every value, and every item of a list, that is not markup already. */
export function markup(strings: TemplateStringsArray, ...values: unknown[]): Markup {
  const result = html(strings, ...values);
  if (result instanceof Promise) throw new TypeError("Markup must not contain promises.");
  return result;
}

/** Characters that XML forbids, invisible control characters, and those that change the direction of text. */
const FORBIDDEN = /[^\t\n\r\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]|[\u202a-\u202e\u2066-\u2069]/gu;

/** Makes a user-supplied name safe to show: valid in XML, on one line, and unable to reverse the text around it. */
export function safeText(name: string): string {
  return `\u2068${name.replace(FORBIDDEN, "\ufffd").replace(/\s+/g, " ")}\u2069`;
}
