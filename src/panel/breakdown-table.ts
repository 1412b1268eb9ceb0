import { formatNumber } from "../format.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { PAGE_PALETTE } from "./palettes.ts";
import { breakdownOf } from "./parse-causes.ts";
import type { CheckResult, VariantSeries } from "./parse-exposures.ts";

const MAX_VARIANTS = 5;
const [, , , EXCLUDED] = PAGE_PALETTE.lines;

/** A column of numbers, and the colour of its part of a bar; null: it has none. */
type Column = { title: string; color: string | undefined; numberOf: (row: Row) => number };
type Row = NonNullable<ReturnType<typeof breakdownOf>>["values"][number];

/** The values of the dimension that explains a check, with bars of their shares. */
export function breakdownTable(check: CheckResult, variants: readonly VariantSeries[]): Markup | "" {
  const breakdown = breakdownOf(check);
  if (breakdown === null) return "";
  const isSplit = check.name === "sample_ratio";
  const shown = variants.slice(0, MAX_VARIANTS).map(({ key }) => key);
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
  const rows = breakdown.values.map(
    (row) =>
      markup`<tr><th scope="row">${row.value === null ? "All others" : safeText(row.value)}</th>${all.map(
        ({ numberOf }) => markup`<td class="number">${formatNumber(numberOf(row))}</td>`,
      )}<td>${barOf(row, all, isSplit ? columns : [excluded])}</td></tr>`,
  );
  const caption = `Identities by ${safeText(breakdown.dimension)}`;
  return markup`<div class="wide-content" role="group" aria-label="${caption}" tabindex="0"><table class="breakdown"><caption>${caption}</caption>
<thead><tr><th scope="col">Value</th>${all.map(({ title }) => markup`<th scope="col" class="number">${title}</th>`)}<th scope="col">${isSplit ? "Split" : "Excluded share"}</th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

/** A bar of the parts, as shares of one another, or a single part as its share of all columns. */
function barOf(row: Row, all: readonly Column[], parts: readonly Column[]): Markup {
  const whole = (parts.length > 1 ? parts : all).reduce((sum, { numberOf }) => sum + numberOf(row), 0) || 1;
  let x = 0;
  const rects = parts.map(({ color, numberOf }) => {
    const width = (100 * numberOf(row)) / whole;
    x += width;
    return markup`<path d="M${(x - width).toFixed(1)} 0h${width.toFixed(1)}v8h-${width.toFixed(1)}z" fill="${color ?? ""}"/>`;
  });
  return markup`<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">${rects}</svg>`;
}
