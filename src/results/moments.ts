/**
 * The values of one variant's identities for one metric, as sufficient statistics. ClickHouse computes them, so a refresh
 * reads one row per variant and metric.
 *
 * Deviations are from the variant's own mean: with a plain sum of squares, no digit of the variance is left where the mean
 * is 1e8 times the standard deviation. In ClickHouse, for an identity's value `y`, and its covariate `x`:
 *
 *     count()                           AS identities
 *     sumKahan(y)                       AS sum
 *     varPopStable(y) * count()         AS squared_deviations
 *     sumKahan(x)                       AS covariate_sum
 *     varPopStable(x) * count()         AS covariate_squared_deviations
 *     covarPopStable(x, y) * count()    AS products_of_deviations
 *
 * `sum` is exact for whole numbers up to 2^53. The deviations are exactly 0 if all values are equal.
 */
export type Moments = {
  /** All identities of the variant, including those without an event. */
  identities: number;
  sum: number;
  /** Σ (y − mean)², at least 0. Only 0 means that the values do not vary. */
  squaredDeviations: number;
  /** Null if the metric has no look-back. */
  covariate: Covariate | null;
};

/** The same metric before each identity's first exposure, over the same identities. */
export type Covariate = {
  sum: number;
  /** Σ (x − mean of x)², at least 0. */
  squaredDeviations: number;
  /** Σ (x − mean of x)(y − mean of y). */
  productsOfDeviations: number;
};

/** The moments of a variant that has no identities. */
export const NO_MOMENTS: Moments = { identities: 0, sum: 0, squaredDeviations: 0, covariate: null };

/** The mean; null without identities. */
export function meanOf({ identities, sum }: Moments): number | null {
  return identities === 0 ? null : sum / identities;
}

/** The standard deviation, relative to the mean, up to which values differ by rounding only, such as averages of 4.7. */
const MAX_ROUNDING = 1e-12;

/** True if the values differ by no more than rounding. */
export function isConstant(identities: number, { sum, squaredDeviations }: Pick<Moments, "sum" | "squaredDeviations">) {
  return Math.sqrt(squaredDeviations / identities) <= MAX_ROUNDING * Math.abs(sum / identities);
}

/** The mean and the sample variance, with the divisor n − 1; null below two identities. */
export function sampleOf(moments: Moments): { mean: number; variance: number } | null {
  const { identities, sum, squaredDeviations } = moments;
  if (identities < 2) return null;
  const variance = isConstant(identities, moments) ? 0 : squaredDeviations / (identities - 1);
  return { mean: sum / identities, variance };
}

/**
 * Merges the moments of two disjoint sets of identities. The result has a covariate if both have one. Source: Chan, Golub
 * and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979).
 */
export function mergeMoments(a: Moments, b: Moments): Moments {
  if (a.identities === 0) return b;
  if (b.identities === 0) return a;
  const identities = a.identities + b.identities;
  const weight = b.identities * (a.identities / identities);
  const gap = b.sum / b.identities - a.sum / a.identities;
  const merged = {
    identities,
    sum: a.sum + b.sum,
    squaredDeviations: a.squaredDeviations + b.squaredDeviations + gap * gap * weight,
  };
  if (a.covariate === null || b.covariate === null) return { ...merged, covariate: null };
  const covariateGap = b.covariate.sum / b.identities - a.covariate.sum / a.identities;
  return {
    ...merged,
    covariate: {
      sum: a.covariate.sum + b.covariate.sum,
      squaredDeviations:
        a.covariate.squaredDeviations + b.covariate.squaredDeviations + covariateGap * covariateGap * weight,
      productsOfDeviations:
        a.covariate.productsOfDeviations + b.covariate.productsOfDeviations + gap * covariateGap * weight,
    },
  };
}
