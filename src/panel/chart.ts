import { nice, ticks } from "d3-array";
import { utcTicks } from "d3-time";
import { DAY } from "../exposures/buckets.ts";
import { formatIdentities, formatNumber, formatUtc } from "../format.ts";
import { drawLegend, legendOf, ROW_HEIGHT } from "./legend.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { type Palette, strokeOf } from "./palettes.ts";
import type { Exposures, VariantSeries } from "./parse-exposures.ts";
import { evenlySpaced } from "./sampling.ts";
import { linearScale, roundPixels, type Scale } from "./scale.ts";
import { type SeriesName, valuesOf } from "./series.ts";

export type ChartOptions = {
  width: number;
  height: number;
  series: SeriesName;
  palette: Palette;
  /** The time at which the weights changed in these buckets, in epoch milliseconds, which is marked; null: they did not. */
  splitChangedAt: number | null;
  /** The max number of points, shared by all lines, which keeps a page small; null: no limit. */
  maxPoints: number | null;
  /** The experiment's name and the time of its numbers, drawn above the plot with a legend; null: the page has them. */
  heading: { name: string; asOf: number | null } | null;
};

export const MARGIN = { top: 12, right: 20, bottom: 28, left: 52 };
/** A time of the axis that is closer to the right edge would be cut if its label were centred below it. */
const MIN_CENTRED = 24;
/** The height that a legend leaves to the plot. */
const MIN_PLOT_HEIGHT = 40;
/** More lines would be hard to tell apart. */
export const MAX_LINES = 12;

/** Draws the exposures over time as a self-contained SVG, one line per variant. Linear in buckets times lines. */
export function drawChart(exposures: Exposures, options: ChartOptions): Markup {
  const { width, height, palette, heading, splitChangedAt } = options;
  const shown = exposures.variants.slice(0, MAX_LINES);
  const legendHeight = height - MARGIN.top - 2 * ROW_HEIGHT - MARGIN.bottom - MIN_PLOT_HEIGHT;
  const legend = heading === null ? [] : legendOf(exposures, shown.length, Math.floor(legendHeight / ROW_HEIGHT));
  const top = MARGIN.top + (heading === null ? 0 : (2 + legend.length) * ROW_HEIGHT);
  const label = `${safeText(heading?.name ?? "Exposures over time")}: ${describe(exposures)}${splitChangedAt === null ? "" : `, ${describeMark(splitChangedAt)}`}`;
  const head =
    heading === null
      ? ""
      : markup`<rect width="${width}" height="${height}" fill="${palette.ground}"/>
<text x="${MARGIN.left}" y="${MARGIN.top + 0.7 * ROW_HEIGHT}" font-weight="600" font-size="14">${safeText(heading.name)}</text>
<text x="${MARGIN.left}" y="${MARGIN.top + 1.5 * ROW_HEIGHT}" fill="${palette.faint}">${heading.asOf === null ? "N/A: not computed yet" : `as of ${formatUtc(heading.asOf)}`}</text>
${drawLegend(legend, MARGIN.left, MARGIN.top + 2.5 * ROW_HEIGHT, palette)}`;
  return markup`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${label}" font-family="system-ui, sans-serif" font-size="12" fill="${palette.ink}">
${head}
${drawPlot(exposures, shown, { ...options, top })}
</svg>`;
}

type PlotOptions = ChartOptions & { top: number };

function drawPlot(exposures: Exposures, shown: readonly VariantSeries[], options: PlotOptions): Markup {
  const { width, height, palette, splitChangedAt } = options;
  const { x, y } = scalesOf(exposures, shown, options);
  const bottom = height - MARGIN.bottom;
  const grid = ticks(0, y.to, 5)
    .filter(Number.isInteger)
    .map(
      (tick) =>
        markup`<path d="M${MARGIN.left},${roundPixels(y.at(tick))}H${width - MARGIN.right}" stroke="${palette.faint}" stroke-opacity="0.25"/><text x="${MARGIN.left - 8}" y="${roundPixels(y.at(tick) + 4)}" text-anchor="end" fill="${palette.faint}">${compact.format(tick)}</text>`,
    );
  const maxTicks = Math.max(2, (width - MARGIN.left) / 110);
  // A tick between the starts of two buckets would repeat the label of the first.
  const starts = new Set(exposures.buckets);
  const times = utcTicks(new Date(x.from), new Date(x.to), maxTicks)
    .map(Number)
    .filter((time) => starts.has(time))
    .map((time) => {
      const at = roundPixels(x.at(time));
      const anchor = at > width - MIN_CENTRED ? "end" : "middle";
      return markup`<path d="M${at},${bottom}v4" stroke="${palette.faint}"/><text x="${at}" y="${bottom + 18}" text-anchor="${anchor}" fill="${palette.faint}">${formatTick(time)}</text>`;
    });
  const lines = drawLines(exposures, shown, options, x, y);
  return markup`<g>${grid}${times}<path d="M${MARGIN.left},${bottom}H${width - MARGIN.right}" stroke="${palette.faint}"/></g><g>${lines}</g>${splitChangedAt === null ? "" : drawMark(splitChangedAt, x, options)}`;
}

const describeMark = (time: number) => `weights changed ${formatUtc(time)}`;

/** A vertical line at the time when the weights changed. In the last bucket, it is at the edge of the plot. */
function drawMark(time: number, x: Scale, { width, height, top, palette }: PlotOptions): Markup {
  const at = roundPixels(x.at(Math.min(time, x.to)));
  const [side, anchor] = at > width / 2 ? [-4, "end"] : [4, "start"];
  return markup`<g><title>${describeMark(time)}</title><path d="M${at},${top}V${height - MARGIN.bottom}" stroke="${palette.ink}" stroke-dasharray="4 3"/><text x="${at + side}" y="${top + 10}" text-anchor="${anchor}" stroke="${palette.ground}" stroke-width="3" paint-order="stroke">weights changed</text></g>`;
}

/** The scales of time and of counts. */
function scalesOf(
  exposures: Exposures,
  shown: readonly VariantSeries[],
  { width, height, top, series }: PlotOptions,
): { x: Scale; y: Scale } {
  const [first = 0, last = first] = [exposures.buckets[0], exposures.buckets.at(-1)];
  const max = shown.reduce((max, variant) => Math.max(max, ...valuesOf(variant, series)), 1);
  return {
    x: linearScale([first, last === first ? first + 1 : last], [MARGIN.left, width - MARGIN.right]),
    y: linearScale([0, nice(0, max, 5)[1]], [height - MARGIN.bottom, top]),
  };
}

function drawLines(
  { buckets }: Exposures,
  shown: readonly VariantSeries[],
  { series, palette, maxPoints }: PlotOptions,
  x: Scale,
  y: Scale,
): (Markup | "")[] {
  const indices = evenlySpaced(buckets.length, (maxPoints ?? Number.POSITIVE_INFINITY) / shown.length);
  const lines = shown.map((variant, line) => {
    const values = valuesOf(variant, series);
    const points = indices.map(
      (index) => `${roundPixels(x.at(buckets[index] ?? 0))},${roundPixels(y.at(values[index] ?? 0))}`,
    );
    if (points.length === 0) return "";
    return points.length === 1
      ? markup`<path d="M${points[0]}h0" ${strokeOf(line, palette)} stroke-linecap="round"/>`
      : markup`<path d="M${points.join("L")}" ${strokeOf(line, palette)}/>`;
  });
  // The first variant, usually the control, comes last, so that no other line covers it.
  return lines.reverse();
}

/** The numbers in words, for screen readers. */
function describe({ total, excluded, variants }: Exposures): string {
  const parts = variants.slice(0, MAX_LINES).map(({ key, total }) => `${safeText(key)} ${formatNumber(total)}`);
  return `${formatIdentities(total)} (${parts.join(", ")}), ${formatNumber(excluded)} excluded`;
}

const hour = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" });
const day = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });
const year = new Intl.DateTimeFormat("en", { year: "numeric", timeZone: "UTC" });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A time of the day, a day, or a year at its start. */
function formatTick(time: number): string {
  if (time % DAY !== 0) return hour.format(time);
  const date = new Date(time);
  return (date.getUTCMonth() === 0 && date.getUTCDate() === 1 ? year : day).format(date);
}
