import { FIRST_EXPOSURE } from "../exposures/breakdown.ts";
import { formatNumber, formatUtc } from "../format.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { PAGE_PALETTE } from "./palettes.ts";
import { breakdownOf } from "./parse-causes.ts";
import type { CheckResult, VariantSeries } from "./parse-exposures.ts";

const MAX_VARIANTS = 5;
const EXCLUDED = PAGE_PALETTE.lines[3];

/** A column of numbers, and the colour of its part of a bar; null: it has none. */
type Column = { title: string; color: string | undefined; numberOf: (row: Row) => number };
type Row = NonNullable<ReturnType<typeof breakdownOf>>["values"][number];

/** The values of the dimension that explains a check, with bars of their shares. */
export function breakdownTable(check: CheckResult, variants: readonly VariantSeries[]): Markup | "" {
  const breakdown = breakdownOf(check);
  if (breakdown === null) return "";
  const isSplit = check.name === "sample_ratio";
  const configured = variants.filter(({ key }) => breakdown.values.some(({ identities }) => identities.has(key)));
  const shown = configured.slice(0, MAX_VARIANTS).map(({ key }) => key);
  const columns = shown.map(
    (key, index): Column => ({
      title: safeText(key),
      color: PAGE_PALETTE.lines[index],
      numberOf: ({ identities }) => identities.get(key) ?? 0,
    }),
  );
  const othersIn = ({ identities }: Row) =>
    [...identities].reduce((sum, [key, count]) => sum + (shown.includes(key) ? 0 : count), 0);
  if (breakdown.values.some((row) => othersIn(row) > 0))
    columns.push({ title: "Others", color: PAGE_PALETTE.faint, numberOf: othersIn });
  const excluded: Column = { title: "Excluded", color: EXCLUDED, numberOf: (row) => row.excluded };
  const all = [...columns, excluded];
  const totalOf = (row: Row) => all.reduce((sum, { numberOf }) => sum + numberOf(row), 0);
  // A split fills its bar. Shares of excluded identities are small, so the largest one does.
  const largest = Math.max(...breakdown.values.map((row) => row.excluded / totalOf(row) || 0));
  const bar = (row: Row) =>
    isSplit ? barOf(row, columns, totalOf(row) - row.excluded) : barOf(row, [excluded], largest * totalOf(row));
  const rows = breakdown.values.map(
    (row) =>
      markup`<tr><th scope="row">${nameOf(breakdown.dimension, row)}</th><td>${bar(row)}</td>${all.map(
        ({ numberOf }) => markup`<td class="number">${formatNumber(numberOf(row))}</td>`,
      )}</tr>`,
  );
  const caption = `Identities by ${safeText(breakdown.dimension)}`;
  return markup`<div class="wide-content" role="group" aria-label="${caption}" tabindex="0"><table class="breakdown"><caption>${caption}</caption>
<thead><tr><th scope="col">Value</th><th scope="col">${isSplit ? "Split" : "Excluded share"}</th>${all.map(({ title }) => markup`<th scope="col" class="number">${title}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function nameOf(dimension: string, { value }: Row): string {
  if (value === null) return "All others";
  const time = dimension === FIRST_EXPOSURE ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? safeText(value) : formatUtc(time);
}

/** A bar of parts of a whole. */
function barOf(row: Row, parts: readonly Column[], whole: number): Markup {
  let x = 0;
  const paths = parts.map(({ color, numberOf }) => {
    const width = (100 * numberOf(row)) / (whole || 1);
    x += width;
    return markup`<path d="M${(x - width).toFixed(1)} 0h${width.toFixed(1)}v8h-${width.toFixed(1)}z" fill="${color ?? ""}"/>`;
  });
  return markup`<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">${paths}</svg>`;
}
