import type { Metric } from "../experiment.ts";
import type { Moments } from "./moments.ts";

/** The counts of one metric, and the metric as it was when they were counted. All figures are computed from them. */
export type MetricCounts = {
  metric: Metric;
  /** Events of a sum or mean whose value is not a finite number. */
  invalidValues: number;
  /** By the key of a variant. Variants without identities may be missing. */
  variants: ReadonlyMap<string, Moments>;
};
