import type { Breakdowns, BreakdownValue } from "../../src/exposures/breakdown.ts";
import { HOUR } from "../../src/exposures/buckets.ts";
import type { CauseValue } from "../../src/exposures/causes.ts";
import { logBayesFactor, sharesOf } from "../../src/exposures/sample-ratio.ts";

// Experiments in which something is wrong with some identities, until the check finds it. The values of three dimensions
// are drawn independently of each other; the sizes of the 20 values fall as 1, 1/2, 1/3, … 1/20.

const DIMENSIONS = ["sdk_language", "sdk_version", "traits.country"];
const VALUES = 20;
/** New identities an hour, the time between two looks. */
const AN_HOUR = 1000;
const MAX_HOURS = 1000;
export const START = Date.UTC(2026, 5, 1);

export type SimulatedBreakdown = {
  check: "sample_ratio" | "multiple_variants";
  weights: readonly number[];
  /**
   * The part of the identities that are lost in the last variant, or excluded.
   * @param version the rank of their SDK version
   * @param country the rank of their country
   */
  harm: (version: number, hour: number, country: number) => number;
  /** The check finds it when this share of identities is excluded. */
  limit?: number;
  /** This part of the identities with the third SDK version has the third country as well. */
  mirrored?: number;
  /** No identity with another SDK version has the third country. */
  isExclusive?: boolean;
};

/** The share of the identities with the value of a rank, from 1 on. */
export function shareOfRank(rank: number): number {
  let sum = 0;
  for (let other = 1; other <= VALUES; other += 1) sum += 1 / other;
  return 1 / rank / sum;
}

const cumulative = Array.from({ length: VALUES }, (_, index) => index + 1).map((rank) => shareOfRank(rank));
for (let index = 1; index < VALUES; index += 1)
  cumulative[index] = (cumulative[index] ?? 0) + (cumulative[index - 1] ?? 0);

function draw(uniform: () => number, sums: readonly number[]): number {
  const target = uniform();
  let index = 0;
  while (index < sums.length - 1 && target >= (sums[index] ?? 1)) index += 1;
  return index;
}

/** Runs an experiment until the check finds it. Returns null if it does not. */
export function runUntilFound(
  { check, weights, harm, limit = 0, mirrored = 0, isExclusive = false }: SimulatedBreakdown,
  uniform: () => number,
): { identities: number; breakdowns: Breakdowns; variants: { key: string; weight: number }[] } | null {
  const variants = weights.map((weight, index) => ({ key: String.fromCharCode(65 + index), weight }));
  const shares = sharesOf(weights);
  const sums = shares.map((_, index) => shares.slice(0, index + 1).reduce((sum, share) => sum + share, 0));
  const last = variants.length - 1;
  const empty = () => new Array<number>(variants.length + 1).fill(0);
  const cells = DIMENSIONS.map(() => Array.from({ length: VALUES }, empty));
  const hours: number[][] = [];
  const total = empty();
  const place = DIMENSIONS.map(() => 0);
  const excludedAt = variants.length;
  for (let hour = 0; hour < MAX_HOURS; hour += 1) {
    const bucket = empty();
    hours.push(bucket);
    for (let identity = 0; identity < AN_HOUR; identity += 1) {
      for (let dimension = 0; dimension < place.length; dimension += 1) place[dimension] = draw(uniform, cumulative);
      if (place[1] === 2) {
        if (uniform() < mirrored) place[2] = 2;
      } else if (isExclusive && place[2] === 2) place[2] = 3;
      const variant = draw(uniform, sums);
      const isHarmed = uniform() < harm((place[1] ?? 0) + 1, hour, (place[2] ?? 0) + 1);
      if (check === "sample_ratio" && isHarmed && variant === last) continue;
      const category = check === "multiple_variants" && isHarmed ? excludedAt : variant;
      bucket[category] = (bucket[category] ?? 0) + 1;
      for (let dimension = 0; dimension < place.length; dimension += 1) {
        const counts = cells[dimension]?.[place[dimension] ?? 0] ?? [];
        counts[category] = (counts[category] ?? 0) + 1;
      }
    }
    for (const [category, count] of bucket.entries()) total[category] = (total[category] ?? 0) + count;
    const identities = total.reduce((sum, count) => sum + count, 0);
    const isFound =
      check === "sample_ratio"
        ? logBayesFactor(shares, total.slice(0, -1)) > Math.log(1000)
        : (total[excludedAt] ?? 0) >= Math.max(limit * identities, 10);
    if (isFound) return { identities, breakdowns: breakdownsOf(), variants };
  }
  return null;

  function breakdownsOf(): Breakdowns {
    const rowOf = (value: string, counts: readonly number[]): BreakdownValue => ({
      value,
      identities: new Map(variants.map(({ key }, index) => [key, counts[index] ?? 0])),
      counted: counts.slice(0, -1).reduce((sum, count) => sum + count, 0),
      excluded: counts[excludedAt] ?? 0,
      late: 0,
    });
    const time = hours.map((counts, hour) => rowOf(String(START + hour * HOUR), counts));
    return {
      splitFrom: START,
      dimensions: [
        ...DIMENSIONS.map((dimension, index) => ({
          dimension,
          values: (cells[index] ?? []).map((counts, value) => rowOf(nameOfRank(value + 1), counts)),
        })),
        { dimension: "first_exposure", values: time },
      ],
    };
  }
}

const nameOfRank = (rank: number) => `number ${rank}`;

/** The value of a rank in a dimension. */
export function valueOfRank(dimension: "sdk_version" | "traits.country", rank: number): CauseValue {
  return { dimension, value: nameOfRank(rank) };
}
