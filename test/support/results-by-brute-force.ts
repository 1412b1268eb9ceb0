import type { Metric } from "../../src/experiment.ts";
import type { Query } from "./brute-force.ts";
import { metricsByBruteForce, type Values } from "./metrics-by-brute-force.ts";
import type { Event } from "./warehouse.ts";

/** Computes the `results` object identity by identity. Comparisons lack the verdict and the chance to win. */
export function resultsByBruteForce(events: readonly Event[], query: Query, metrics: readonly Metric[]) {
  const counted = metricsByBruteForce(events, query, metrics);
  const keys = [...new Set([...query.variants, ...(counted[0]?.variants.keys() ?? [])])];
  const control = query.variants.length === 0 ? null : keys.includes("control") ? "control" : query.variants[0];
  const treatments = control === null ? [] : query.variants.filter((key) => key !== control);
  const byMetric = counted.map(({ key, invalidValues, variants }, index) => {
    const valuesOf = (variant = "") => variants.get(variant) ?? { y: [], x: [] };
    const isAdjusted = (metrics[index]?.lookbackDays ?? 0) > 0;
    const comparisonOf = (treatment: string) =>
      compareByBruteForce(valuesOf(control ?? ""), valuesOf(treatment), isAdjusted, 0.05 / treatments.length);
    return {
      key,
      invalidValues,
      variants: new Map(
        keys.map((variant) => [variant, { ...statisticsOf(valuesOf(variant).y), ...valuesOf(variant) }]),
      ),
      comparisons: new Map(treatments.map((treatment) => [treatment, comparisonOf(treatment)])),
    };
  });
  return { control, metrics: byMetric };
}

const NOTHING = {
  figures: { lift: null, interval: null, p_value: null, credible_interval: null, variance_reduction: null },
  tolerance: 0,
};

/** The figures of a comparison, by the formulas of the contract, and how far rounding may move them. */
function compareByBruteForce(control: Values, treatment: Values, isAdjusted: boolean, alpha: number) {
  const plain = liftOf(control.y, treatment.y);
  const { lift, se2 } = isAdjusted ? adjustedLiftOf(control, treatment) : plain;
  // Almost nothing is left of the variance, or of the control's mean.
  if (se2 < 1e-6 * plain.se2 || Math.abs(lift) > 1e4 * (1 + Math.abs(plain.lift))) return { figures: {}, tolerance: 0 };
  if (Number.isNaN(plain.lift) || Number.isNaN(lift)) return NOTHING;
  const n = control.y.length + treatment.y.length;
  const rho2 = (-2 * Math.log(alpha) + Math.log(-2 * Math.log(alpha) + 1)) / 5000;
  const spread = n * rho2 + 1;
  const half = Math.sqrt(se2 * n) * Math.sqrt(((2 * spread) / (n ** 2 * rho2)) * Math.log(Math.sqrt(spread) / alpha));
  const exponent = (-rho2 * n ** 2 * (lift ** 2 / (se2 * n))) / (2 * spread);
  const single = 1.959963984540054 * Math.sqrt(plain.se2);
  return {
    figures: {
      lift,
      interval: [lift - half, lift + half],
      p_value: Math.min(1, Math.sqrt(spread) * Math.exp(exponent)),
      credible_interval: [plain.lift - single, plain.lift + single],
      variance_reduction: isAdjusted ? Math.max(0, 1 - se2 / plain.se2) : null,
    },
    tolerance: 1e-6 * (1 + half),
  };
}

/** The lift and its squared standard error; NaN if it does not exist. */
function liftOf(control: readonly number[], treatment: readonly number[]) {
  const [c, t] = [statisticsOf(control), statisticsOf(treatment)];
  const se2 = t.variance / (t.n * c.mean ** 2) + (t.mean ** 2 * c.variance) / (c.n * c.mean ** 4);
  const exists = Math.min(c.n, t.n) >= 2 && c.mean > 0 && se2 > 0;
  return { lift: exists ? (t.mean - c.mean) / c.mean : Number.NaN, se2 };
}

function adjustedLiftOf(control: Values, treatment: Values) {
  const [ys, xs] = [control.y.concat(treatment.y), control.x.concat(treatment.x)];
  const [y, x] = [statisticsOf(ys), statisticsOf(xs)];
  const covariance = total(ys.map((value, index) => (value - y.mean) * ((xs[index] ?? 0) - x.mean))) / (x.n - 1);
  const theta = x.variance > 0 ? covariance / x.variance : 0;
  const adjust = (arm: Values) => arm.y.map((value, index) => value - theta * ((arm.x[index] ?? 0) - x.mean));
  return liftOf(adjust(control), adjust(treatment));
}

/** The figures of values in two passes. The variance is that of the sample, and exactly 0 if all values are equal. */
function statisticsOf(values: readonly number[]) {
  const n = values.length;
  const mean = total(values) / n;
  const isConstant = values.every((value) => value === values[0]);
  return {
    n,
    sum: total(values),
    mean,
    variance: isConstant ? 0 : total(values.map((v) => (v - mean) ** 2)) / (n - 1),
  };
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
