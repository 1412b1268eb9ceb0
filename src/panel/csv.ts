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

/**
 * Where a spreadsheet could see a formula begin: at the start, and after what it may take for the end of a cell, if it
 * separates by semicolons or tabs or does not see the quotes. What it may skip before the sign does not hide it.
 */
const FORMULA = /^(?=[\t\r])|(?<=^|[;\t\r\n])(?=[[\s\p{C}"]--[\t\r\n]]*[=+\-@＝＋－＠])/gv;

/** A text in quotes. What a spreadsheet would take for a formula begins with an apostrophe, which it hides. */
function cell(text: string): string {
  return `"${text.replace(FORMULA, "'").replaceAll('"', '""')}"`;
}
