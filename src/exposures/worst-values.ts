import type { Breakdown } from "./breakdown.ts";
import { ALPHA } from "./check-sample-ratio.ts";
import { type Counts, type Deviation, logLikelihoodRatio, minus, sumOf } from "./deviation.ts";

/** More would hide what matters. */
const MAX_CAUSES = 5;
/** A value with less of the whole deviation is no cause, however certain. */
const MIN_EXPLAINED = 0.1;

export const TIME = "first_exposure";

/** Values of a dimension from one index to another, exclusive: one value, or consecutive buckets of time. */
export type Range = { from: number; to: number };

export type Suspect = Range & {
  counts: Counts;
  /** Holm-adjusted. */
  pValue: number;
  /** The part of the whole excess that is gone without it, 0 to 1. */
  explained: number;
};

/** What a dimension's worst values explain. */
export type Suspects = {
  breakdown: Breakdown;
  whole: Counts;
  found: readonly Suspect[];
  /** The counts without the values found. */
  remaining: Counts;
  /** The log likelihood ratio of the values found, less Schwarz's penalty for each parameter. */
  score: number;
};

/**
 * Finds a dimension's worst values: those that differ most from the rest, one after the other. Holm's method corrects for
 * the values of the dimension, and Bonferroni's for the dimensions.
 */
export function findSuspects(breakdown: Breakdown, deviation: Deviation, dimensions: number): Suspects {
  const counts = breakdown.values.map(deviation.countsOf);
  const whole: Counts = deviation.base.map((_, index) => sumOf(counts.map((value) => value[index] ?? 0)));
  const found: Suspect[] = [];
  let remaining: Counts = whole;
  let score = 0;
  while (found.length < MAX_CAUSES) {
    const worst = findWorst({ counts, whole, remaining, found, isTime: breakdown.dimension === TIME }, deviation);
    if (worst === null) break;
    const pValue = Math.max(worst.pValue * dimensions, found.at(-1)?.pValue ?? 0);
    if (pValue >= ALPHA) break;
    found.push({ ...worst, pValue });
    remaining = minus(remaining, worst.counts);
    score += worst.score;
  }
  return { breakdown, whole, found, remaining, score };
}

type Search = {
  counts: readonly Counts[];
  whole: Counts;
  remaining: Counts;
  found: readonly Suspect[];
  isTime: boolean;
};

/** Finds the value, or the period, that most likely is a cause. Its p-value is corrected for their number. */
function findWorst(
  { counts, whole, remaining, found, isTime }: Search,
  deviation: Deviation,
): (Suspect & { score: number }) | null {
  const penalty = Math.log(sumOf(whole)) / 2;
  const rateOf = (some: Counts) => deviation.excessOf(some) / sumOf(some);
  let worst: { from: number; to: number; counts: Counts; score: number } | null = null;
  let candidates = 0;
  for (const from of counts.keys()) {
    let part = remaining.map(() => 0) as Counts;
    for (let to = from + 1; to <= (isTime ? counts.length : from + 1); to += 1) {
      if (found.some((other) => other.from < to && from < other.to)) break;
      candidates += 1;
      part = part.map((count, index) => count + (counts[to - 1]?.[index] ?? 0));
      const rest = minus(remaining, part);
      // Only what is worse than the rest can be a cause. Without identities, a rate is NaN.
      if (!(rateOf(part) > rateOf(rest))) continue;
      const bounds = isTime ? Number(from > 0) + Number(to < counts.length) : 0;
      const score = logLikelihoodRatio(part, rest) - penalty * (deviation.base.length - 1 + bounds);
      if (score > (worst?.score ?? Number.NEGATIVE_INFINITY) && explainedBy(part, whole, deviation) >= MIN_EXPLAINED)
        worst = { from, to, counts: part, score };
    }
  }
  if (worst === null) return null;
  const pValue = deviation.pValueOf(worst.counts, minus(remaining, worst.counts)) * candidates;
  return { ...worst, pValue, explained: explainedBy(worst.counts, whole, deviation) };
}

/** The part of the whole excess that is gone without a part of the counts. */
function explainedBy(part: Counts, whole: Counts, deviation: Deviation): number {
  const excess = deviation.excessOf(minus(whole, part));
  return excess === 0 ? 1 : Math.max(1 - excess / deviation.excessOf(whole), 0);
}
