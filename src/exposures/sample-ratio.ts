import { deviance, stirlingError, upperGamma } from "../gamma.ts";

/** The p-values of a split, from Number.MIN_VALUE to 1. They are never 0, even where the exact value underflows. */
export type SampleRatio = {
  /** Pearson's chi-square test of the current counts. It is valid for a single look. */
  pValue: number;
  /**
   * The smallest p-value of the sequential test at the end of a bucket. It is valid for any number of looks. It does not rise
   * as buckets are added, but may when their counts change or hours become days.
   */
  sequentialPValue: number;
};

/** The minimum share. It keeps the share of a tiny weight from underflowing to 0. */
const MIN_SHARE = 1e-280;

/**
 * Scales weights to shares, with the sum 1 up to rounding.
 * @param weights finite and > 0
 */
export function sharesOf(weights: readonly number[]): number[] {
  // A power of two changes no digit and keeps the sum of large weights finite. 2 ** 1024 would be infinite.
  const scale = 2 ** Math.min(-Math.floor(Math.log2(Math.max(...weights))), 1023);
  const sum = weights.reduce((sum, weight) => sum + weight * scale, 0);
  return weights.map((weight) => Math.max((weight * scale) / sum, MIN_SHARE));
}

/**
 * Tests whether identities were split by the configured shares.
 * @param shares the configured shares of at least two variants, > 0, with the sum 1
 * @param added the new identities of each variant, one number per bucket
 */
export function testSampleRatio(shares: readonly number[], added: readonly (readonly number[])[]): SampleRatio {
  const counts = shares.map(() => 0);
  let maxLogFactor = 0;
  for (let bucket = 0; bucket < (added[0]?.length ?? 0); bucket += 1) {
    let hasNew = false;
    for (const [index, series] of added.entries()) {
      const identities = series[bucket] ?? 0;
      counts[index] = (counts[index] ?? 0) + identities;
      hasNew ||= identities > 0;
    }
    if (hasNew) maxLogFactor = Math.max(maxLogFactor, logBayesFactor(shares, counts));
  }
  return {
    pValue: chiSquareTail(chiSquare(shares, counts, sumOf(counts)), shares.length - 1),
    sequentialPValue: Math.max(Math.exp(-maxLogFactor), Number.MIN_VALUE),
  };
}

/** Pearson's chi-square statistic Σ (n − N p)² / (N p) of the counts n, their total N and the shares p; 0 if N is 0. */
export function chiSquare(shares: readonly number[], counts: readonly number[], total: number): number {
  if (total === 0) return 0;
  return shares.reduce((sum, share, index) => {
    const expected = total * share;
    return sum + ((counts[index] ?? 0) - expected) ** 2 / expected;
  }, 0);
}

/**
 * The probability of a chi-square statistic of x >= 0 or more: Q(degrees / 2, x / 2). The relative error is below 1e-12,
 * and the result at least Number.MIN_VALUE. Source: Abramowitz and Stegun 26.4.19.
 */
export function chiSquareTail(x: number, degrees: number): number {
  return Math.max(upperGamma(degrees / 2, Math.min(x, Number.MAX_VALUE) / 2), Number.MIN_VALUE);
}

/** The concentration c of the prior. It weighs as much as this many identities split as configured. */
const CONCENTRATION = 10_000;

/**
 * The natural logarithm of the Bayes factor against the configured shares p. The alternative is a Dirichlet prior with
 * the parameters α = c p, centred on p. The reciprocal of the largest factor so far is an anytime-valid p-value. Source:
 * Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data" (2022), as in Optimizely's ssrm.
 *
 * For the counts n with the total N it is ln Γ(c) − ln Γ(c + N) + Σ (ln Γ(α + n) − ln Γ(α) − n ln p). Stirling's formula
 * is substituted, so that no large terms cancel. At 100 million identities, the factor's relative error is below 1e-10.
 */
export function logBayesFactor(shares: readonly number[], counts: readonly number[]): number {
  const total = sumOf(counts);
  const posterior = CONCENTRATION + total;
  let factor = Math.log1p(total / CONCENTRATION) / 2 + stirlingError(CONCENTRATION) - stirlingError(posterior);
  for (const [index, share] of shares.entries()) {
    const count = counts[index] ?? 0;
    const alpha = CONCENTRATION * share;
    factor +=
      deviance(alpha + count, posterior * share) -
      Math.log1p(count / alpha) / 2 +
      stirlingError(alpha + count) -
      stirlingError(alpha);
  }
  return factor;
}

export function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
