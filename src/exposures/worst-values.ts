import { type Breakdown, FIRST_EXPOSURE } from "./breakdown.ts";
import { SAMPLE_RATIO_ALPHA } from "./check-sample-ratio.ts";
import {
  type Counts,
  type Deviation,
  excessOf,
  logLikelihoodRatio,
  minus,
  plus,
  pValueOf,
  wholeOf,
} from "./deviation.ts";
import { sumOf } from "./sample-ratio.ts";

/** More would hide what matters. */
const MAX_CAUSES = 5;
/** A value with a smaller part of the whole deviation is not a cause, however certain. */
const MIN_EXPLAINED = 0.1;

/** A value of a dimension, or consecutive buckets of time: the values from one index to another, exclusive. */
export type Suspect = {
  breakdown: Breakdown;
  from: number;
  to: number;
  counts: Counts;
  /** Its log likelihood ratio, less Schwarz's penalty of half the logarithm of all identities for each parameter. */
  score: number;
  /** The part of the whole excess that is gone without it, 0 to 1. */
  explained: number;
  /** Adjusted for all values looked at. */
  pValue: number;
};

/**
 * Finds the worst values of a dimension: those that differ most from the rest, one after the other. Holm's method corrects
 * for the values of the dimension, and Bonferroni's for the number of dimensions.
 */
export function findSuspects(breakdown: Breakdown, deviation: Deviation, dimensions: number): Suspect[] {
  const counts = breakdown.values.map(deviation.countsOf);
  const whole = wholeOf(breakdown, deviation);
  const isTime = breakdown.dimension === FIRST_EXPOSURE;
  const penalty = Math.log(sumOf(whole)) / 2;
  const wholeExcess = excessOf(whole, deviation);
  const rateOf = (part: Counts) => excessOf(part, deviation) / sumOf(part);
  const found: Suspect[] = [];
  let remaining = whole;
  while (found.length < MAX_CAUSES) {
    let worst: Suspect | null = null;
    let candidates = 0;
    for (const from of counts.keys()) {
      let part: Counts = whole.map(() => 0);
      for (let to = from + 1; to <= (isTime ? counts.length : from + 1); to += 1) {
        if (found.some((other) => other.from < to && from < other.to)) break;
        candidates += 1;
        part = plus(part, counts[to - 1] ?? []);
        const explained = 1 - excessOf(minus(whole, part), deviation) / wholeExcess;
        if (!(explained >= MIN_EXPLAINED)) continue;
        const rest = minus(remaining, part);
        // The rate of no identities is NaN, which is not above any.
        if (!(rateOf(part) > rateOf(rest))) continue;
        const bounds = isTime ? Number(from > 0) + Number(to < counts.length) : 0;
        const score = logLikelihoodRatio(part, rest) - penalty * (whole.length - 1 + bounds);
        if (worst === null || score > worst.score)
          worst = { breakdown, from, to, counts: part, score, explained, pValue: 1 };
      }
    }
    if (worst === null) break;
    remaining = minus(remaining, worst.counts);
    worst.pValue = pValueOf(worst.counts, remaining, deviation) * candidates * dimensions;
    if (worst.pValue >= SAMPLE_RATIO_ALPHA) break;
    worst.pValue = Math.max(worst.pValue, found.at(-1)?.pValue ?? 0);
    found.push(worst);
  }
  return found;
}

/**
 * Finds the dimensions whose values are alike, and would not be if all of the deviation came from the largest value. Returns
 * none if the values of any dimension differ.
 */
export function findAlike(breakdowns: readonly Breakdown[], deviation: Deviation): Breakdown[] {
  const limit = Math.log(sumOf(breakdowns.map(({ values }) => values.length)) / SAMPLE_RATIO_ALPHA);
  const alike: Breakdown[] = [];
  for (const breakdown of breakdowns) {
    const counts = breakdown.values.map(deviation.countsOf);
    const whole = wholeOf(breakdown, deviation);
    if (counts.some((part) => logLikelihoodRatio(part, minus(whole, part)) > limit)) return [];
    const others = sumOf(whole) - Math.max(...counts.map(sumOf));
    const fair = deviation.shares.map((share, index) => Math.min(share * others, whole[index] ?? 0));
    if (logLikelihoodRatio(minus(whole, fair), fair) > limit) alike.push(breakdown);
  }
  return alike;
}
