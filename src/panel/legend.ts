import { formatNumber, formatPercent } from "../format.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { type Palette, strokeOf } from "./palettes.ts";
import type { Exposures } from "./parse-exposures.ts";

export const ROW_HEIGHT = 20;

/** A row of a legend. A row that stands for no line has no index. */
export type LegendRow = { label: string; index: number | null };

/**
 * The rows of a chart's legend. Variants that do not fit share a row that counts them.
 * @param lineCount the number of variants with a line
 * @param maxRows a soft limit: the shared row and the one for excluded identities are always included
 */
export function legendOf(exposures: Exposures, lineCount: number, maxRows: number): LegendRow[] {
  const { total, excluded, variants } = exposures;
  const all = total + excluded;
  const label = (name: string, count: number) =>
    `${safeText(name)} (${formatNumber(count)} - ${formatPercent(all === 0 ? 0 : count / all)})`;
  const excludedRows = excluded > 0 ? [{ label: label("$multiple", excluded), index: null }] : [];
  const fits = variants.length === lineCount && lineCount + excludedRows.length <= maxRows;
  const namedCount = fits ? lineCount : Math.min(lineCount, Math.max(0, maxRows - 1 - excludedRows.length));
  const rest = formatNumber(variants.length - namedCount);
  return [
    ...variants.slice(0, namedCount).map(({ key, total }, index) => ({ label: label(key, total), index })),
    ...(variants.length === namedCount
      ? []
      : [{ label: namedCount === 0 ? `${rest} variants` : `and ${rest} more`, index: null }]),
    ...excludedRows,
  ];
}

/** @param y the baseline of the first row */
export function drawLegend(rows: readonly LegendRow[], x: number, y: number, palette: Palette): Markup[] {
  return rows.map(({ label, index }, row) => {
    const baseline = y + row * ROW_HEIGHT;
    const swatch =
      index === null
        ? markup`<circle cx="${x + 7}" cy="${baseline - 4}" r="4" fill="none" stroke="${palette.faint}"/>`
        : markup`<path d="M${x},${baseline - 4}h14" ${strokeOf(index, palette)}/>`;
    return markup`${swatch}<text x="${x + 22}" y="${baseline}">${label}</text>`;
  });
}
