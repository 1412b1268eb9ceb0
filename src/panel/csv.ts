import type { Exposures } from "./parse-exposures.ts";

const HEADER = ["bucket", "variant", "new_identities", "cumulative_identities"];

/**
 * Writes exposures as RFC 4180 CSV: one row per bucket and variant in order of time, then a row without a bucket for
 * identities with several variants. Without exposures, only the header.
 */
export function writeCsv(exposures: Exposures | null): string {
  const rows = [HEADER.join()];
  if (exposures === null) return `${rows.join()}\r\n`;
  const { buckets, variants, excluded } = exposures;
  const names = variants.map(({ key }) => cell(key));
  for (const [index, bucket] of buckets.entries()) {
    const start = new Date(bucket).toISOString();
    for (const [column, { added, cumulative }] of variants.entries())
      rows.push(`${start},${names[column]},${added[index]},${cumulative[index]}`);
  }
  rows.push(`,${cell("$multiple")},,${excluded}`);
  return `${rows.join("\r\n")}\r\n`;
}

/**
 * Matches the places where a spreadsheet could see a formula begin: the start of the text, and any separator or line
 * break, because a spreadsheet may ignore the quotes or use another separator. Spaces, invisible characters and quotes
 * before the sign are ignored, as a spreadsheet ignores them.
 */
const FORMULA = /^(?=[\t\r])|(?<=^|[;\t\r\n])(?=[[\s\p{C}"]--[\t\r\n]]*[=+\-@＝＋－＠])/gv;

/** Quotes a text. An apostrophe, which spreadsheets hide, keeps the text from being read as a formula. */
export function cell(text: string): string {
  return `"${text.replace(FORMULA, "'").replaceAll('"', '""')}"`;
}
