import { drawChart, MARGIN } from "../../src/panel/chart.ts";
import { PALETTES } from "../../src/panel/palettes.ts";
import type { Exposures } from "../../src/panel/parse-exposures.ts";
import { readSvg } from "./svg.ts";

/** The start of the first bucket. */
export const START = Date.UTC(2026, 5, 1);
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const chartOptions = {
  width: 760,
  height: 400,
  series: "cumulative",
  palette: PALETTES.light,
  maxPoints: null,
  splitChangedAt: null,
} as const;
export const heading = { name: "Checkout", asOf: START };

/** Exposures with these new identities in each bucket. */
export function exposuresOf(series: Record<string, number[]>, step = HOUR): Exposures {
  const variants = Object.entries(series).map(([key, added]) => {
    let sum = 0;
    const cumulative = added.map((count) => (sum += count));
    return { key, added, cumulative, total: sum };
  });
  const length = variants[0]?.added.length ?? 0;
  return {
    total: variants.reduce((sum, { total }) => sum + total, 0),
    excluded: 1,
    granularity: step === HOUR ? "hour" : "day",
    health: { status: "healthy", checks: [] },
    buckets: Array.from({ length }, (_, index) => START + index * step),
    variants,
  };
}

/** The parts of a picture, in pixels from its top left corner. */
export function drawnChart(exposures: Exposures, changes: Partial<Parameters<typeof drawChart>[1]> = {}) {
  const shapes = readSvg(drawChart(exposures, { ...chartOptions, heading: null, ...changes }).toString());
  const having = (tag: string, name: string, value: string) =>
    shapes.filter((shape) => shape.tag === tag && shape.attributes[name] === value);
  const timesAt = String((changes.height ?? chartOptions.height) - MARGIN.bottom + 18);
  return {
    shapes,
    label: shapes[0]?.attributes["aria-label"],
    /** The lines of values, the largest value last, and their labels. */
    grid: having("path", "stroke-opacity", "0.25"),
    values: having("text", "x", String(MARGIN.left - 8)),
    /** The labels of times, and the mark above each. */
    times: having("text", "y", timesAt),
    timeMarks: shapes.filter(({ attributes }) => attributes["d"]?.endsWith("v4")),
    /** The lines of variants, the control last. */
    lines: shapes.filter(({ tag, attributes }) => tag === "path" && attributes["stroke-linejoin"] === "round"),
  };
}
