import type { Variant } from "../experiment.ts";
import { deviance } from "../gamma.ts";
import type { Breakdown, BreakdownValue } from "./breakdown.ts";
import { SAMPLE_RATIO_ALPHA } from "./check-sample-ratio.ts";
import { chiSquare, chiSquareTail, sharesOf, sumOf } from "./sample-ratio.ts";
import { binomialTail, hypergeometricTail } from "./tail-bounds.ts";

/** Identities by category. */
export type Counts = readonly number[];

/** A kind of fault that a check finds in identities. */
export type Deviation = {
  countsOf(value: BreakdownValue): Counts;
  /** The share of each category if nothing is wrong. */
  shares: Counts;
  /** The number of tests: the first category for too many identities, then for too few, then the others. */
  tests: number;
};

/**
 * The deviation from the weights, by variant.
 * @param variants at least two, with weights above 0
 */
export function splitDeviation(variants: readonly Variant[]): Deviation {
  return {
    countsOf: ({ identities }) => variants.map(({ key }) => identities.get(key) ?? 0),
    shares: sharesOf(variants.map(({ weight }) => weight)),
    // Of two variants, one has too many where the other has too few.
    tests: variants.length === 2 ? 2 : 2 * variants.length,
  };
}

/** More identities of a kind than a tolerated share. The categories are that kind and all others. */
export function shareDeviation(share: number, countsOf: Deviation["countsOf"]): Deviation {
  return { countsOf, shares: [share, 1 - share], tests: 1 };
}

export const plus = (counts: Counts, part: Counts): Counts => counts.map((count, index) => count + (part[index] ?? 0));
export const minus = (counts: Counts, part: Counts): Counts => counts.map((count, index) => count - (part[index] ?? 0));

/** The counts of all values together. */
export const wholeOf = ({ values }: Breakdown, { countsOf, shares }: Deviation): Counts =>
  values.map(countsOf).reduce(
    plus,
    shares.map(() => 0),
  );

/** The identities above the expected number, in all categories; with a single test, in the first one. */
export function excessOf(counts: Counts, { shares, tests }: Deviation): number {
  const total = sumOf(counts);
  return counts
    .slice(0, tests)
    .reduce((sum, count, index) => sum + Math.max(count - total * (shares[index] ?? 0), 0), 0);
}

/** True if the counts alone would pass the check. */
export function isFair(counts: Counts, { shares, tests }: Deviation): boolean {
  const total = sumOf(counts);
  if (tests === 1) return (counts[0] ?? 0) < total * (shares[0] ?? 0);
  return chiSquareTail(chiSquare(shares, counts, total), shares.length - 1) >= SAMPLE_RATIO_ALPHA;
}

/**
 * The p-value of a part, by Bonferroni's method for the number of tests. Each test has two hypotheses, that the part has
 * the share as expected, and that it has the share of the rest. Both must be rejected, so the larger p-value counts.
 */
export function pValueOf(part: Counts, rest: Counts, { shares, tests }: Deviation): number {
  const [n, others] = [sumOf(part), sumOf(rest)];
  const tailOf = (x: number, y: number, share: number) =>
    Math.max(binomialTail(x, n, share), hypergeometricTail(x, n, x + y, n + others));
  const tails = shares.flatMap((share, index) => {
    const [x, y] = [part[index] ?? 0, rest[index] ?? 0];
    return [tailOf(x, y, share), tailOf(n - x, others - y, 1 - share)];
  });
  return Math.min(...tails.slice(0, tests)) * tests;
}

/** The log likelihood ratio of two models: a part and the rest have shares of their own, or the same shares. */
export function logLikelihoodRatio(part: Counts, rest: Counts): number {
  const [n, others] = [sumOf(part), sumOf(rest)];
  return part.reduce((sum, x, index) => {
    const y = rest[index] ?? 0;
    const share = (x + y) / (n + others);
    return sum + termOf(x, n * share) + termOf(y, others * share);
  }, 0);
}

/** The deviance, also of 0. */
const termOf = (x: number, mean: number) => (x === 0 ? mean : deviance(x, mean));
