import type { Variant } from "../experiment.ts";
import { formatIdentities, formatNumber, formatPercent, quoteName } from "../format.ts";
import { deviance } from "../gamma.ts";
import type { BreakdownValue } from "./breakdown.ts";
import { ALPHA } from "./check-sample-ratio.ts";
import { MAX_HEALTHY_SHARE } from "./checks.ts";
import { chiSquare, chiSquareTail, sharesOf } from "./sample-ratio.ts";
import { binomialTail, hypergeometricTail } from "./tail-bounds.ts";

/** Identities by category. */
export type Counts = readonly number[];

/** What a check finds wrong with counts. */
export type Deviation = {
  countsOf(value: BreakdownValue): Counts;
  /** The shares of the categories if nothing were wrong. */
  base: Counts;
  /** The number of identities that are in the wrong category. */
  excessOf(counts: Counts): number;
  /** True if the counts alone would pass the check. */
  isFair(counts: Counts): boolean;
  /** The p-value of the hypothesis that a part is fair, or no worse than the rest. */
  pValueOf(part: Counts, rest: Counts): number;
  /** What is wrong with a part, and what is left without it, without a verb's subject: "…; without it …". */
  describe(part: Counts, rest: Counts, explained: number): string;
};

export const sumOf = (counts: Counts): number => counts.reduce((sum, count) => sum + count, 0);
export const minus = (counts: Counts, part: Counts): Counts => counts.map((count, index) => count - (part[index] ?? 0));

/**
 * The deviation from the weights, by variant. The excess is half the sum of the differences from the expected counts.
 *
 * A part is tested in each variant and direction, for its own share against the configured one and against the rest's. As
 * both hypotheses must be rejected, the larger p-value counts; Bonferroni's factor is for the variants and directions.
 * @param variants at least two, with weights above 0
 */
export function splitDeviation(variants: readonly Variant[]): Deviation {
  const shares = sharesOf(variants.map(({ weight }) => weight));
  return {
    base: shares,
    countsOf: ({ identities }) => variants.map(({ key }) => identities.get(key) ?? 0),
    excessOf(counts) {
      const total = sumOf(counts);
      return sumOf(counts.map((count, index) => Math.abs(count - total * (shares[index] ?? 0)))) / 2;
    },
    isFair: (counts) => chiSquareTail(chiSquare(shares, counts, sumOf(counts)), shares.length - 1) >= ALPHA,
    pValueOf(part, rest) {
      const [n, others] = [sumOf(part), sumOf(rest)];
      const worst = shares.map((share, index) => {
        const [x, y] = [part[index] ?? 0, rest[index] ?? 0];
        return Math.min(excessTail(x, n, y, others, share), excessTail(n - x, n, others - y, others, 1 - share));
      });
      // Of two variants, one has too many where the other has too few.
      const tests = shares.length === 2 ? 2 : 2 * shares.length;
      return Math.min(Math.min(...worst) * tests, 1);
    },
    describe(part, rest, explained) {
      const total = sumOf(part);
      const parts = variants.map(({ key }, index) => {
        const expected = total * (shares[index] ?? 0);
        const count = part[index] ?? 0;
        return { key, count, expected, chiSquare: (count - expected) ** 2 / expected };
      });
      // Of two variants that are equally off, the one with too many: `reduce` keeps the first of equal ones.
      const { key, count, expected } = parts
        .toSorted((a, b) => b.count - b.expected - (a.count - a.expected))
        .reduce((worst, arm) => (arm.chiSquare > worst.chiSquare ? arm : worst));
      const left = this.isFair(rest) ? "the split is fair" : `${formatPercent(explained)} of the deviation is gone`;
      return `${formatNumber(count)} of ${formatIdentities(total)} in ${quoteName(key)} instead of ${formatNumber(expected)}; without it, ${left}`;
    },
  };
}

/** The p-value of x of n, where the share is configured and y of m have it elsewhere; the larger one of both tests. */
function excessTail(x: number, n: number, y: number, m: number, share: number): number {
  return Math.max(binomialTail(x, n, share), hypergeometricTail(x, n, x + y, n + m));
}

/** The share of excluded identities. The categories are excluded and counted; the excess is above the healthy share. */
export const exclusionDeviation: Deviation = {
  base: [0, 1],
  countsOf: ({ excluded, counted }) => [excluded, counted],
  excessOf: ([excluded = 0, counted = 0]) => Math.max(excluded - MAX_HEALTHY_SHARE * (excluded + counted), 0),
  isFair: ([excluded = 0, counted = 0]) => excluded < MAX_HEALTHY_SHARE * (excluded + counted),
  pValueOf([excluded = 0, counted = 0], [otherExcluded = 0, otherCounted = 0]) {
    const [n, successes] = [excluded + counted, excluded + otherExcluded];
    return hypergeometricTail(excluded, n, successes, n + otherExcluded + otherCounted);
  },
  describe([excluded = 0, counted = 0], [otherExcluded = 0, otherCounted = 0]) {
    const n = excluded + counted;
    return `${formatNumber(excluded)} of ${formatIdentities(n)} (${formatPercent(excluded / n)}) saw several variants; without it, ${formatPercent(otherExcluded / (otherExcluded + otherCounted))} did`;
  },
};

/**
 * The logarithm of the likelihood ratio: a part and the rest have shares of their own, against the same shares. It is the
 * same for both orders.
 */
export function logLikelihoodRatio(part: Counts, rest: Counts): number {
  const [n, others] = [sumOf(part), sumOf(rest)];
  return part.reduce((sum, x, index) => {
    const y = rest[index] ?? 0;
    const share = (x + y) / (n + others);
    return sum + termOf(x, n * share) + termOf(y, others * share);
  }, 0);
}

/** The deviance also for x = 0. */
const termOf = (x: number, mean: number) => (x === 0 ? mean : deviance(x, mean));
