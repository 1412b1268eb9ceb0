import type { Variant } from "../experiment.ts";
import { quoteName } from "../format.ts";
import type { Breakdown, Breakdowns } from "./breakdown.ts";
import { ALPHA } from "./check-sample-ratio.ts";
import { describeBegin, describeCause, describeCauses, describeEvenness, describeRange } from "./describe-causes.ts";
import {
  type Counts,
  type Deviation,
  exclusionDeviation,
  logLikelihoodRatio,
  minus,
  splitDeviation,
  sumOf,
} from "./deviation.ts";
import { hypergeometricTail } from "./tail-bounds.ts";
import { findSuspects, type Range, type Suspect, type Suspects, TIME } from "./worst-values.ts";

/** A value of a dimension, or several consecutive buckets of time by the first one. */
export type CauseValue = { dimension: string; value: string | null };

export type Cause = CauseValue & {
  /** Identities that saw one variant and were first exposed from `Breakdowns.splitFrom` on, by variant. */
  identities: ReadonlyMap<string, number>;
  excludedIdentities: number;
  /** Adjusted by Holm's method for all values looked at. */
  pValue: number;
  /** The part of the whole deviation that is gone without it, 0 to 1. */
  explained: number;
  /** True if the check would find nothing without it. */
  isFairWithout: boolean;
  /** Values of other dimensions that have nearly the same identities. */
  sameAs: readonly CauseValue[];
  /** One sentence. */
  detail: string;
};

export type CauseReport = {
  /** Values of one dimension, the worst first, at most 5. */
  causes: readonly Cause[];
  /** The first bucket from which on it is off, in epoch milliseconds; null if from the start, or if not clear. */
  beganAt: number | null;
  /** The answer in one or two sentences, also without a cause. */
  detail: string;
};

/** Identities are nearly the same if no count differs by more than this part of it. */
const TOLERANCE = 0.05;
/** More would make the sentence too long. */
const MAX_VERSIONS = 3;

/**
 * Finds the values that explain why a check is not healthy: the worst values of the dimension that explains it best.
 *
 * Causes are of one dimension, because the counts do not say how many identities two values of different dimensions share.
 * So a second cause in another dimension shows only after the first is mended.
 */
export function findCauses(
  check: "sample_ratio" | "multiple_variants",
  { dimensions }: Breakdowns,
  variants: readonly Variant[],
): CauseReport {
  const weighted = variants.filter(({ weight }) => weight > 0);
  const deviation = check === "sample_ratio" ? splitDeviation(weighted) : exclusionDeviation;
  const all = dimensions.map((breakdown) => findSuspects(breakdown, deviation, dimensions.length));
  const found = all.filter((suspects) => suspects.found.length > 0);
  const [best] = found.toSorted((a, b) => b.score - a.score);
  if (best === undefined) return { causes: [], beganAt: null, detail: describeNoCause(all, deviation) };
  const beganAt = beginOf(found, deviation);
  const names = best.found.map((suspect) => describeRange(best.breakdown, suspect));
  return {
    causes: best.found.map((suspect) => causeOf(suspect, best, found, deviation)),
    beganAt,
    detail: `${describeCauses(names, best.breakdown.dimension, deviation.isFair(best.remaining))}${beganAt === null ? "" : describeBegin(beganAt)}`,
  };
}

function causeOf(suspect: Suspect, suspects: Suspects, all: readonly Suspects[], deviation: Deviation): Cause {
  const { breakdown, whole } = suspects;
  const { from, to, counts, pValue, explained } = suspect;
  const values = breakdown.values.slice(from, to);
  const identities = new Map<string, number>();
  for (const value of values)
    for (const [variant, count] of value.identities) identities.set(variant, (identities.get(variant) ?? 0) + count);
  const rest = minus(whole, counts);
  const mirrors = all
    .filter((other) => other !== suspects)
    .flatMap(({ breakdown, found }) =>
      found.filter((other) => isNearlySame(counts, other.counts)).map((range) => ({ breakdown, range })),
    );
  return {
    ...causeValue(breakdown, suspect),
    identities,
    excludedIdentities: sumOf(values.map(({ excluded }) => excluded)),
    pValue,
    explained,
    isFairWithout: deviation.isFair(rest),
    sameAs: mirrors.map(({ breakdown, range }) => causeValue(breakdown, range)),
    detail: describeCause(
      describeRange(breakdown, suspect),
      mirrors.map(({ breakdown, range }) => describeRange(breakdown, range)),
      deviation.describe(counts, rest, explained),
    ),
  };
}

/**
 * Says that all values are alike, for the dimensions in which a cause could not have been missed: not even if the whole
 * deviation came from the largest value.
 */
function describeNoCause(all: readonly Suspects[], { base, countsOf }: Deviation): string {
  const limit = Math.log(sumOf(all.map(({ breakdown }) => breakdown.values.length)) / ALPHA);
  const isAlike = all.every(({ breakdown, whole }) =>
    breakdown.values.every((value) => {
      const part = countsOf(value);
      return logLikelihoodRatio(part, minus(whole, part)) < limit;
    }),
  );
  const telling = all.filter(({ breakdown, whole }) => {
    const others = sumOf(whole) - Math.max(...breakdown.values.map((value) => sumOf(countsOf(value))));
    const fair = base.map((share, index) => Math.min(share * others, whole[index] ?? 0));
    return logLikelihoodRatio(minus(whole, fair), fair) > limit;
  });
  return isAlike && telling.length > 0
    ? describeEvenness(telling.map(({ breakdown }) => breakdown))
    : "No single value explains it.";
}

const causeValue = ({ dimension, values }: Breakdown, { from }: Range): CauseValue => ({
  dimension,
  value: values[from]?.value ?? null,
});

const isNearlySame = (counts: Counts, other: Counts): boolean =>
  counts.every((count, index) => Math.abs(count - (other[index] ?? 0)) <= TOLERANCE * count);

/** The begin of the bucket from which on it is off, if it was fair before. */
function beginOf(all: readonly Suspects[], deviation: Deviation): number | null {
  const time = all.find(({ breakdown }) => breakdown.dimension === TIME);
  const last = time?.found.find(({ from, to }) => from > 0 && to === time.breakdown.values.length);
  if (time === undefined || last === undefined) return null;
  return deviation.isFair(minus(time.whole, last.counts)) ? Number(time.breakdown.values[last.from]?.value) : null;
}

/**
 * Names the SDK versions that clearly have more than their share of the late identities, or of those with a variant that is
 * not configured, as a clause. Returns null if none has.
 */
export function describeSdkVersions(
  check: "late_events" | "unknown_variants",
  { dimensions }: Breakdowns,
  variants: readonly Variant[],
): string | null {
  const known = new Set(variants.filter(({ weight }) => weight > 0).map(({ key }) => key));
  const values = dimensions.find(({ dimension }) => dimension === "sdk_version")?.values ?? [];
  const parts = values.map((value) => {
    const total = sumOf([...value.identities.values()]);
    return check === "late_events"
      ? { value: value.value, count: value.late, total: value.counted + value.excluded }
      : { value: value.value, count: sumOf([...value.identities].map(([key, n]) => (known.has(key) ? 0 : n))), total };
  });
  const count = sumOf(parts.map((part) => part.count));
  const total = sumOf(parts.map((part) => part.total));
  const names = parts
    .filter((part) => hypergeometricTail(part.count, part.total, count, total) * parts.length < ALPHA)
    .sort((a, b) => b.count - a.count)
    .flatMap(({ value }) => (value === null ? [] : [quoteName(value)]))
    .slice(0, MAX_VERSIONS);
  return names.length === 0 ? null : `especially with SDK version ${names.join(" and ")}`;
}
