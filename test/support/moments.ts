import type { Covariate, Moments } from "../../src/results/moments.ts";

/** The moments of values in memory, in two passes. The values of all other identities are 0, before and after. */
export function momentsOf(
  identities: number,
  values: readonly number[],
  covariates: readonly number[] | null = null,
): Moments {
  const { sum, mean, squaredDeviations } = passes(identities, values);
  if (covariates === null) return { identities, sum, squaredDeviations, covariate: null };
  const covariate = passes(identities, covariates);
  let products = (identities - values.length) * mean * covariate.mean;
  for (const [index, value] of values.entries())
    products += (value - mean) * ((covariates[index] ?? 0) - covariate.mean);
  return {
    identities,
    sum,
    squaredDeviations,
    covariate: {
      sum: covariate.sum,
      squaredDeviations: covariate.squaredDeviations,
      productsOfDeviations: products,
    },
  };
}

function passes(identities: number, values: readonly number[]) {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / identities;
  let squaredDeviations = (identities - values.length) * mean * mean;
  for (const value of values) squaredDeviations += (value - mean) ** 2;
  return { sum, mean, squaredDeviations };
}

/** The moments of sums and sums of squares, as GrowthBook and Flagsmith have them. */
export function fromSquares(n: number, sum: number, squares: number, covariate: Covariate | null = null): Moments {
  return { identities: n, sum, squaredDeviations: squares - sum ** 2 / n, covariate };
}

/** The moments of conversions: the values are 1 and 0. */
export function fromConversions(identities: number, conversions: number): Moments {
  return fromSquares(identities, conversions, conversions);
}
