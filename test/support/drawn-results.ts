import type { Metric } from "../../src/experiment.ts";
import { PALETTES } from "../../src/panel/palettes.ts";
import { drawResults } from "../../src/panel/results-chart.ts";
import type { Comparison } from "../../src/results/compare.ts";
import type { MetricResult, Results } from "../../src/results/compute-results.ts";
import { readSvg, textOf } from "./svg.ts";

export const resultsOptions = {
  width: 760,
  palette: PALETTES.light,
  name: "Checkout",
  asOf: Date.UTC(2026, 5, 1),
  health: "healthy",
} as const;

export const metricOf = (fields: Partial<Metric> = {}): Metric => ({
  key: "m",
  name: "Purchases",
  event: "purchase",
  aggregation: "count",
  expectedDirection: "increase",
  conversionWindowHours: null,
  lookbackDays: 0,
  ...fields,
});

export const comparisonOf = (fields: Partial<Comparison>): Comparison => ({
  lift: null,
  interval: null,
  verdict: "collecting",
  pValue: null,
  credibleInterval: null,
  chanceToWin: null,
  varianceReduction: null,
  ...fields,
});
export const WINNING = comparisonOf({ verdict: "winning", lift: 0.1, interval: [0.05, 0.15] });

/** A metric with a mean of 2 and 1000 identities in the control, 2.2 and 1100 in each treatment. */
export function metricResult(comparisons: Record<string, Comparison>, fields: Partial<Metric> = {}): MetricResult {
  const figures = { sum: 0, standardDeviation: 1 };
  const treatments = Object.keys(comparisons).map((key) => [key, { ...figures, identities: 1100, mean: 2.2 }] as const);
  return {
    metric: metricOf(fields),
    invalidValues: 0,
    comparisons: new Map(Object.entries(comparisons)),
    variants: new Map([["control", { ...figures, identities: 1000, mean: 2 }], ...treatments]),
  };
}

export const resultsWith = (...metrics: MetricResult[]): Results => ({ control: "control", metrics });
/** A metric with this number of treatments. */
export const numbered = (count: number) =>
  metricResult(Object.fromEntries(Array.from({ length: count }, (_, index) => [`v${index}`, WINNING])));

/** The parts of a picture, in pixels from its top left corner. */
export function drawnResults(results: Results | null, changes: Partial<Parameters<typeof drawResults>[1]> = {}) {
  const shapes = readSvg(drawResults(results, { ...resultsOptions, ...changes }).toString());
  const texts = shapes.filter(({ tag }) => tag === "text");
  return {
    shapes,
    label: shapes[0]?.attributes["aria-label"],
    height: Number(shapes[0]?.attributes["height"]),
    lines: texts.filter(({ attributes }) => !("text-anchor" in attributes)),
    axis: texts.filter(({ attributes }) => attributes["text-anchor"] === "middle"),
    bars: shapes.filter(({ attributes }) => attributes["stroke-width"] === "4"),
  };
}

/** The texts of a picture's lines. */
export const textsIn = (...drawing: Parameters<typeof drawnResults>) => drawnResults(...drawing).lines.map(textOf);
