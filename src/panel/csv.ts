import type { Numbers } from "./numbers.ts";

const HEADER = ["bucket", "variant", "new_identities", "cumulative_identities"];

/**
 * One row for each bucket and variant, and one without a bucket for identities that saw several variants. In the order
 * of time, as RFC 4180 has it. Without numbers, no rows.
 */
export function writeCsv(numbers: Numbers | null): string {
  const rows = [HEADER.join()];
  if (numbers === null) return `${rows.join()}\r\n`;
  const { buckets, variants, excluded } = numbers;
  const names = variants.map(({ key }) => cell(key));
  for (const [index, bucket] of buckets.entries()) {
    const start = new Date(bucket).toISOString();
    for (const [column, { added, cumulative }] of variants.entries())
      rows.push(`${start},${names[column]},${added[index]},${cumulative[index]}`);
  }
  rows.push(`,${cell("$multiple")},,${excluded}`);
  return `${rows.join("\r\n")}\r\n`;
}

/** A text in quotes. One that a spreadsheet would take for a formula begins with an apostrophe, which it hides. */
function cell(text: string): string {
  const safe = /^[\s]*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
