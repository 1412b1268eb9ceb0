import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";

export type Markup = HtmlEscapedString;

/** HTML or SVG in which every value is escaped but what is markup already; of a list, each. */
export function markup(strings: TemplateStringsArray, ...values: unknown[]): Markup {
  const made = html(strings, ...values);
  if (made instanceof Promise) throw new TypeError("markup waits for nothing");
  return made;
}

/** What XML forbids, controls that nobody sees, and those that turn the direction of whatever follows. */
const FORBIDDEN = /[^\t\n\r\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]|[\u202a-\u202e\u2066-\u2069]/gu;

/** A name that anyone may have chosen, as text of a document: legal, and with its direction kept to itself. */
export function safeText(name: string): string {
  return `\u2068${name.replace(FORBIDDEN, "\ufffd").replace(/\s+/g, " ")}\u2069`;
}
