import { nice, ticks } from "d3-array";
import type { Comparison } from "../results/compare.ts";
import type { Results } from "../results/compute-results.ts";
import { formatLift } from "../results/format-results.ts";
import type { Interval } from "../results/sequential.ts";
import { type Markup, markup } from "./markup.ts";
import type { Palette } from "./palettes.ts";
import { linearScale, roundPixels } from "./scale.ts";

/** The range of lifts that all intervals share. It contains 0. */
export type IntervalAxis = { from: number; to: number };

/** One very wide interval must not squeeze the others, so the axis ends here. */
const WIDEST: Interval = [-1, 3];
const WHILE_EMPTY: Interval = [-0.1, 0.1];

/** The axis of all intervals with a verdict, or of all intervals while every comparison is collecting. */
export function intervalAxisOf({ metrics }: Results): IntervalAxis {
  const comparisons = metrics.flatMap((metric) => [...metric.comparisons.values()]);
  const judged = comparisons.filter(({ verdict }) => verdict !== "collecting");
  const ends = (judged.length > 0 ? judged : comparisons).flatMap(({ interval }) => interval ?? []);
  const shown = ends.length > 0 ? ends.map((end) => Math.min(WIDEST[1], Math.max(WIDEST[0], end))) : WHILE_EMPTY;
  const [from, to] = nice(Math.min(0, ...shown), Math.max(0, ...shown), 4);
  return { from, to };
}

export type IntervalOptions = { width: number; height: number; palette: Palette };

/** The space on both sides, for labels and arrows. */
const PADDING = 24;

function scaleOf(axis: IntervalAxis, width: number) {
  return linearScale([axis.from, axis.to], [PADDING, width - PADDING]);
}

/** Draws the labels of the axis. */
export function drawAxisLabels(axis: IntervalAxis, { width, height, palette }: IntervalOptions): Markup {
  const scale = scaleOf(axis, width);
  const labels = ticks(axis.from, axis.to, tickCount(width)).map(
    (tick) =>
      markup`<text x="${roundPixels(scale.at(tick))}" y="${height - 4}" text-anchor="middle" fill="${palette.faint}"${
        tick === 0 ? markup` font-weight="600"` : ""
      }>${tick === 0 ? "0" : formatTick(tick)}</text>`,
  );
  return markup`<g>${labels}</g>`;
}

/** Labels don't overlap, and two digits tell them apart. */
const tickCount = (width: number) => Math.min(12, Math.max(4, (width - 2 * PADDING) / 64));
const formatTick = (tick: number) => formatLift(tick).replace(".0%", "%");

/** Draws an interval with its lift. An end beyond the axis is an arrow. */
export function drawInterval(
  axis: IntervalAxis,
  comparison: Pick<Comparison, "lift" | "interval" | "verdict">,
  { width, height, palette }: IntervalOptions,
): Markup {
  const scale = scaleOf(axis, width);
  const xOf = (lift: number) => roundPixels(scale.at(Math.min(axis.to, Math.max(axis.from, lift))));
  const lines = ticks(axis.from, axis.to, tickCount(width)).filter((tick) => tick !== 0);
  const grid = markup`<path d="${lines.map((tick) => `M${xOf(tick)},0V${height}`).join("")}" stroke="${palette.faint}" stroke-opacity=".25"/><path d="M${xOf(0)},0V${height}" stroke="${palette.faint}"/>`;
  const { lift, interval, verdict } = comparison;
  if (lift === null || interval === null) return markup`<g>${grid}</g>`;
  const [low, high] = interval;
  const middle = height / 2;
  const color = colorOf(verdict, palette);
  const isInside = lift >= axis.from && lift <= axis.to;
  const arrowAt = (x: number, side: -1 | 1) =>
    markup`<path d="M${x},${middle - 6}l${side * 9},6l${-side * 9},6z" fill="${color}"/>`;
  return markup`<g>${grid}<path d="M${xOf(low)},${middle}H${xOf(high)}" stroke="${color}" stroke-width="4"${
    verdict === "collecting" ? markup` stroke-dasharray="3 3"` : ""
  }/>${low < axis.from ? arrowAt(xOf(low), -1) : ""}${high > axis.to ? arrowAt(xOf(high), 1) : ""}${
    isInside ? markup`<circle cx="${xOf(lift)}" cy="${middle}" r="5" fill="${color}"/>` : ""
  }</g>`;
}

function colorOf(verdict: Comparison["verdict"], { good, bad, faint, ink }: Palette): string {
  if (verdict === "winning") return good;
  if (verdict === "losing" || verdict === "harmed") return bad;
  return verdict === "collecting" ? faint : ink;
}
