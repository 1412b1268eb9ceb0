import { nice, ticks } from "d3-array";
import { utcTicks } from "d3-time";
import { formatNumber, formatPercent, formatUtc } from "../exposures/format.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { evenlySpaced, type Numbers, type VariantNumbers } from "./numbers.ts";

export const seriesNames = ["cumulative", "new"] as const;
export type SeriesName = (typeof seriesNames)[number];

/** Colours as SVG takes them: for lines in turn, for words, for the grid, for what is behind. */
export type Palette = { lines: readonly string[]; ink: string; faint: string; ground: string };

export type ChartOptions = {
  width: number;
  height: number;
  series: SeriesName;
  palette: Palette;
  /** A line has no more points than that share of it, so that a page stays small; null: all. */
  maxPoints: number | null;
  /** Above the plot: whose numbers they are, as of when, and which line is whose. Null: whoever shows it says that. */
  heading: { name: string; asOf: number | null } | null;
};

export const MARGIN = { top: 12, right: 20, bottom: 28, left: 52 };
const ROW = 20;
/** The height that a legend must leave to the lines. */
const MIN_PLOT = 40;
/** More lines than that nobody tells apart. */
export const MAX_LINES = 12;
/** From the second round of colours on, lines are dashed. */
const DASHES = [null, "6 3", "2 3"];

/** The exposures over time, one line a variant, as a self-contained SVG. Linear in buckets times lines. */
export function drawChart(numbers: Numbers, options: ChartOptions): Markup {
  const { width, height, palette, heading } = options;
  const shown = numbers.variants.slice(0, MAX_LINES);
  const room = Math.floor((height - MARGIN.top - 2 * ROW - MARGIN.bottom - MIN_PLOT) / ROW);
  const legend = heading === null ? [] : legendOf(numbers, shown, room);
  const top = MARGIN.top + (heading === null ? 0 : 2 * ROW + legend.length * ROW);
  const name = heading === null ? "Exposures over time" : heading.name;
  const rows = legend.map(({ label, index }, row) => {
    const y = MARGIN.top + (2.5 + row) * ROW;
    const swatch =
      index === null
        ? markup`<circle cx="${MARGIN.left + 7}" cy="${y - 4}" r="4" fill="none" stroke="${palette.faint}"/>`
        : markup`<path d="M${MARGIN.left},${y - 4}h14" ${strokeOf(index, palette)}/>`;
    return markup`${swatch}<text x="${MARGIN.left + 22}" y="${y}">${label}</text>`;
  });
  const head =
    heading === null
      ? ""
      : markup`<rect width="${width}" height="${height}" fill="${palette.ground}"/>
<text x="${MARGIN.left}" y="${MARGIN.top + 0.7 * ROW}" font-weight="600" font-size="14">${safeText(heading.name)}</text>
<text x="${MARGIN.left}" y="${MARGIN.top + 1.5 * ROW}" fill="${palette.faint}">${heading.asOf === null ? "N/A: not computed yet" : `as of ${formatUtc(heading.asOf)}`}</text>
${rows}`;
  return markup`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${`${safeText(name)}: ${describe(numbers)}`}" font-family="system-ui, sans-serif" font-size="12" fill="${palette.ink}">
${head}
${plot(numbers, shown, { ...options, top })}
</svg>`;
}

function plot(numbers: Numbers, shown: readonly VariantNumbers[], options: ChartOptions & { top: number }) {
  const { width, height, series, palette, maxPoints } = options;
  const { x, y } = scalesOf(numbers, shown, options);
  const bottom = height - MARGIN.bottom;
  const formatTime = timeFormat(numbers);
  const grid = ticks(0, y.to, 5)
    .filter(Number.isInteger)
    .map(
      (tick) =>
        markup`<path d="M${MARGIN.left},${round(y.at(tick))}H${width - MARGIN.right}" stroke="${palette.faint}" stroke-opacity="0.25"/><text x="${MARGIN.left - 8}" y="${round(y.at(tick) + 4)}" text-anchor="end" fill="${palette.faint}">${short(tick)}</text>`,
    );
  const times = utcTicks(new Date(x.from), new Date(x.to), Math.max(2, Math.floor((width - MARGIN.left) / 110))).map(
    (tick) => {
      const at = round(x.at(tick.getTime()));
      return markup`<path d="M${at},${bottom}v4" stroke="${palette.faint}"/><text x="${at}" y="${bottom + 18}" text-anchor="middle" fill="${palette.faint}">${formatTime(tick.getTime())}</text>`;
    },
  );
  const buckets = evenlySpaced(
    numbers.buckets.length,
    (maxPoints ?? Number.POSITIVE_INFINITY) / Math.max(1, shown.length),
  );
  // The control comes last, so that no other line hides it.
  const lines = shown
    .map((variant, index) => {
      const values = valuesOf(variant, series);
      const points = buckets.map(
        (bucket) => `${round(x.at(numbers.buckets[bucket] ?? 0))},${round(y.at(values[bucket] ?? 0))}`,
      );
      const [only = ""] = points;
      if (points.length === 0) return "";
      return points.length === 1
        ? markup`<path d="M${only}h0" ${strokeOf(index, palette)} stroke-linecap="round"/>`
        : markup`<path d="M${points.join("L")}" ${strokeOf(index, palette)}/>`;
    })
    .reverse();
  return markup`<g>${grid}${times}<path d="M${MARGIN.left},${bottom}H${width - MARGIN.right}" stroke="${palette.faint}"/></g><g>${lines}</g>`;
}

/** From a range of numbers to one of pixels. */
type Scale = { from: number; to: number; at(value: number): number };

function scale([from, to]: [number, number], [start, end]: [number, number]): Scale {
  return { from, to, at: (value) => start + ((value - from) / (to - from)) * (end - start) };
}

/** Where a chart of these options puts a time and a count. */
function scalesOf(
  numbers: Numbers,
  shown: readonly VariantNumbers[],
  { width, height, top, series }: Pick<ChartOptions, "width" | "height" | "series"> & { top: number },
): { x: Scale; y: Scale } {
  const [first = 0, last = first] = [numbers.buckets[0], numbers.buckets.at(-1)];
  const most = shown.reduce((most, variant) => Math.max(most, ...valuesOf(variant, series)), 1);
  return {
    x: scale([first, last === first ? first + 1 : last], [MARGIN.left, width - MARGIN.right]),
    y: scale([0, nice(0, most, 5)[1]], [height - MARGIN.bottom, top]),
  };
}

export function valuesOf(variant: VariantNumbers, series: SeriesName): readonly number[] {
  return series === "new" ? variant.added : variant.cumulative;
}

function strokeOf(index: number, { lines }: Palette) {
  const dash = DASHES[Math.floor(index / lines.length) % DASHES.length] ?? null;
  const dashes = dash === null ? "" : markup` stroke-dasharray="${dash}"`;
  return markup`fill="none" stroke="${lines[index % lines.length] ?? "currentColor"}" stroke-width="2" stroke-linejoin="round"${dashes}`;
}

/** Which line is whose, in about `room` rows. */
function legendOf(
  numbers: Numbers,
  shown: readonly VariantNumbers[],
  room: number,
): { label: string; index: number | null }[] {
  const { total, excluded, variants } = numbers;
  const all = total + excluded;
  const label = (name: string, count: number) =>
    `${safeText(name)} (${formatNumber(count)} - ${formatPercent(all === 0 ? 0 : count / all)})`;
  const others = excluded > 0 ? [{ label: label("$multiple", excluded), index: null }] : [];
  const fits = variants.length === shown.length && shown.length + others.length <= room;
  const named = fits ? shown : shown.slice(0, Math.max(0, room - 1 - others.length));
  const more = variants.length - named.length;
  return [
    ...named.map(({ key, total }, index) => ({ label: label(key, total), index })),
    ...(more === 0
      ? []
      : [
          {
            label: named.length === 0 ? `${formatNumber(more)} variants` : `and ${formatNumber(more)} more`,
            index: null,
          },
        ]),
    ...others,
  ];
}

/** For who does not see it. */
function describe({ total, excluded, variants }: Numbers): string {
  const parts = variants.slice(0, MAX_LINES).map(({ key, total }) => `${safeText(key)} ${formatNumber(total)}`);
  return `${formatNumber(total)} identities (${parts.join(", ")}), ${formatNumber(excluded)} excluded`;
}

const hour = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" });
const day = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });

function timeFormat({ granularity }: Numbers): (time: number) => string {
  return (time) => (granularity === "hour" && time % 86_400_000 !== 0 ? hour.format(time) : day.format(time));
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const short = (value: number) => compact.format(value);
const round = (value: number) => Math.round(value * 10) / 10;

const SPARK = { width: 96, height: 24, points: 48 };

/** How the number of identities grew, for a line of a table. */
export function drawSparkline({ buckets, variants }: Numbers): Markup {
  const totals = evenlySpaced(buckets.length, SPARK.points).map((bucket) =>
    variants.reduce((sum, { cumulative }) => sum + (cumulative[bucket] ?? 0), 0),
  );
  const x = scale([0, Math.max(1, totals.length - 1)], [1, SPARK.width - 1]);
  const y = scale([0, Math.max(1, ...totals)], [SPARK.height - 2, 2]);
  if (totals.length === 0) return markup``;
  const points = totals.map((total, index) => `${round(x.at(index))},${round(y.at(total))}`);
  return markup`<svg class="spark" viewBox="0 0 ${SPARK.width} ${SPARK.height}" width="${SPARK.width}" height="${SPARK.height}" aria-hidden="true"><path d="M${points.join("L")}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>`;
}
