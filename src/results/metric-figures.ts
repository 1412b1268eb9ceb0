import type { Aggregation, ExpectedDirection, Variant } from "../experiment.ts";
import { type Comparison, compare } from "./compare.ts";
import { type Moments, meanOf, NO_MOMENTS, sampleOf } from "./moments.ts";

/** The figures of one variant. The mean is null without identities, the standard deviation below two of them. */
export type VariantFigures = {
  identities: number;
  sum: number;
  mean: number | null;
  /** The sample's, with the divisor n − 1. */
  standardDeviation: number | null;
};

/** One metric's figures by variant, and its comparisons by treatment. */
export type MetricFigures = {
  variants: ReadonlyMap<string, VariantFigures>;
  comparisons: ReadonlyMap<string, Comparison>;
};

/**
 * The variant that all others are compared with: `control`, configured or seen, else the first configured one. Null, and
 * with it no comparison, if no variants are configured.
 *
 * `control` need not be configured, since Flagsmith's control is not an option of the feature.
 * @param seen the variants with identities
 */
export function controlOf(configured: readonly Variant[], seen: Iterable<string>): string | null {
  const first = configured[0];
  if (first === undefined) return null;
  const isControl = (key: string) => key === "control";
  return configured.some(({ key }) => isControl(key)) || [...seen].some(isControl) ? "control" : first.key;
}

/**
 * Computes a metric's figures for all variants, configured or seen, and compares each configured one with the control. An
 * unknown variant is not compared, since the number of treatments widens every interval.
 * @param control from `controlOf`
 */
export function computeFigures(
  metric: { aggregation: Aggregation; expectedDirection: ExpectedDirection },
  moments: ReadonlyMap<string, Moments>,
  configured: readonly Variant[],
  control: string | null,
): MetricFigures {
  const momentsOf = (key: string) => moments.get(key) ?? NO_MOMENTS;
  const keys = new Set([...configured.map(({ key }) => key), ...moments.keys()]);
  const variants = new Map([...keys].map((key) => [key, figuresOf(momentsOf(key))]));
  if (control === null) return { variants, comparisons: new Map() };
  const treatments = configured.map(({ key }) => key).filter((key) => key !== control);
  const comparisonOf = (key: string) => compare(momentsOf(control), momentsOf(key), metric, treatments.length);
  return { variants, comparisons: new Map(treatments.map((key) => [key, comparisonOf(key)])) };
}

function figuresOf(moments: Moments): VariantFigures {
  const sample = sampleOf(moments);
  return {
    identities: moments.identities,
    sum: moments.sum,
    mean: meanOf(moments),
    standardDeviation: sample && Math.sqrt(sample.variance),
  };
}
