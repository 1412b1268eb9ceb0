import type { Definition, Metric } from "../experiment.ts";
import type { MetricCounts } from "./metric-counts.ts";
import { computeFigures, controlOf, type MetricFigures } from "./metric-figures.ts";

export type MetricResult = MetricFigures & { metric: Metric; invalidValues: number };

/** The figures of an experiment's metrics, in the order of the definition. */
export type Results = {
  /** The variant that the others are compared with; null: there is no comparison. */
  control: string | null;
  metrics: readonly MetricResult[];
};

/**
 * Computes the results from stored counts. A metric that has been edited since has none, unless only its name or its
 * direction changed: those do not affect the counts. Returns null if no metric has results.
 */
export function computeResults(
  counted: readonly MetricCounts[],
  { variants, metrics }: Pick<Definition, "variants" | "metrics">,
): Results | null {
  const current = metrics.flatMap((metric) => {
    const counts = counted.find((each) => each.metric.key === metric.key && isCountedAs(each.metric, metric));
    return counts === undefined ? [] : [{ ...counts, metric }];
  });
  const [first] = current;
  if (first === undefined) return null;
  const seen = [...first.variants].filter(([, { identities }]) => identities > 0).map(([key]) => key);
  const control = controlOf(variants, seen);
  return {
    control,
    metrics: current.map(({ metric, invalidValues, variants: moments }) => ({
      metric,
      invalidValues,
      ...computeFigures(metric, sorted(moments), variants, control),
    })),
  };
}

/** Variants that are not configured come in the order of their keys, as they do in exposures. */
function sorted(moments: MetricCounts["variants"]): MetricCounts["variants"] {
  return new Map([...moments].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Returns whether two metrics have the same counts. */
export function isCountedAs(a: Metric, b: Metric): boolean {
  return (
    a.event === b.event &&
    a.aggregation === b.aggregation &&
    a.conversionWindowHours === b.conversionWindowHours &&
    a.lookbackDays === b.lookbackDays
  );
}
