import { html } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";

export type Markup = HtmlEscapedString;

/** HTML or SVG in which every value is escaped but what is markup already; of a list, each. */
export function markup(strings: TemplateStringsArray, ...values: unknown[]): Markup {
  const made = html(strings, ...values);
  if (made instanceof Promise) throw new TypeError("markup waits for nothing");
  return made;
}

/**
 * A name that anyone may have chosen, as text of a document: without what XML forbids, and with its direction kept to
 * itself.
 */
export function text(name: string): string {
  const legal = name.toWellFormed().replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd");
  return `\u2068${legal.replace(/\s+/g, " ")}\u2069`;
}
