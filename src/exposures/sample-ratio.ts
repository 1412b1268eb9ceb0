import { deviance, stirlingError, upperGamma } from "./gamma.ts";

/** p-values are never 0: what is smaller than any number is the smallest. */
export type SampleRatio = {
  /** Of one look at what is there now. */
  pValue: number;
  /** Holds however often one has looked, and so never rises. */
  sequentialPValue: number;
};

/** The shares that weights > 0 come to. No weight is so small that there is no number for its share. */
export function sharesOf(weights: readonly number[]): number[] {
  // A power of two changes no digit, and keeps the sum of large weights finite; 2 ** 1024 would not be.
  const scale = 2 ** Math.min(-Math.floor(Math.log2(Math.max(...weights))), 1023);
  const sum = weights.reduce((sum, weight) => sum + weight * scale, 0);
  return weights.map((weight) => Math.max((weight * scale) / sum, MIN_SHARE));
}
const MIN_SHARE = 1e-280;

/**
 * Whether identities were split as they should be.
 * @param shares of at least two variants, > 0, with the sum 1
 * @param added for each variant its new identities, bucket by bucket
 */
export function testSampleRatio(shares: readonly number[], added: readonly (readonly number[])[]): SampleRatio {
  const counts = shares.map(() => 0);
  let largest = 0;
  for (let bucket = 0; bucket < (added[0]?.length ?? 0); bucket += 1) {
    let isNew = false;
    for (const [index, series] of added.entries()) {
      const identities = series[bucket] ?? 0;
      counts[index] = (counts[index] ?? 0) + identities;
      isNew ||= identities > 0;
    }
    if (isNew) largest = Math.max(largest, logBayesFactor(shares, counts));
  }
  return {
    pValue: chiSquareTail(chiSquare(shares, counts, sumOf(counts)), shares.length - 1),
    sequentialPValue: Math.max(Math.exp(-largest), Number.MIN_VALUE),
  };
}

/** Pearson's statistic: Σ (n − N p)² / (N p), and 0 of nobody. */
export function chiSquare(shares: readonly number[], counts: readonly number[], total: number): number {
  if (total === 0) return 0;
  return shares.reduce((sum, share, index) => {
    const expected = total * share;
    return sum + ((counts[index] ?? 0) - expected) ** 2 / expected;
  }, 0);
}

/** The chance that chi-square with so many degrees of freedom is no smaller than x. DLMF 8.2.4 and 26.4.19 of A&S. */
export function chiSquareTail(x: number, degrees: number): number {
  return Math.max(upperGamma(degrees / 2, Math.min(x, Number.MAX_VALUE) / 2), Number.MIN_VALUE);
}

/** How sure of the configured shares one is before any data: as if so many identities had been split that way. */
const CONCENTRATION = 10_000;

/**
 * The logarithm of how much likelier the counts are if the shares may be any, by a Dirichlet distribution around the
 * configured ones, than if they are the configured ones. Its reciprocal is a p-value at any time: Lindon and Malek,
 * "Anytime-Valid Inference for Multinomial Count Data" (2022), as in Optimizely's ssrm.
 *
 * With α = c p it is ln Γ(c) − ln Γ(c + N) + Σ (ln Γ(α + n) − ln Γ(α) − n ln p); here with Stirling's formula put in, so
 * that nothing large is left to cancel.
 */
export function logBayesFactor(shares: readonly number[], counts: readonly number[]): number {
  const total = sumOf(counts);
  const all = CONCENTRATION + total;
  let factor = Math.log1p(total / CONCENTRATION) / 2 + stirlingError(CONCENTRATION) - stirlingError(all);
  for (const [index, share] of shares.entries()) {
    const count = counts[index] ?? 0;
    const alpha = CONCENTRATION * share;
    factor +=
      deviance(alpha + count, all * share) -
      Math.log1p(count / alpha) / 2 +
      stirlingError(alpha + count) -
      stirlingError(alpha);
  }
  return factor;
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
