import type { Variant } from "../experiment.ts";
import { formatNumber, formatPercent, quoteName } from "../format.ts";
import { type Breakdowns, type BreakdownValue, FIRST_EXPOSURE } from "./breakdown.ts";
import { describeWorst } from "./check-sample-ratio.ts";
import { MAX_HEALTHY_SHARE } from "./checks.ts";
import { describeCause, describeCauses, describeNoCause, formatList } from "./describe-causes.ts";
import { type Counts, isFair, minus, shareDeviation, splitDeviation, wholeOf } from "./deviation.ts";
import { sumOf } from "./sample-ratio.ts";
import { findAlike, findSuspects, type Suspect } from "./worst-values.ts";

/** A value of a dimension. A period of time is its first bucket. */
export type CauseValue = { dimension: string; value: string | null };

export type Cause = CauseValue & {
  /** Identities that saw one variant and were first exposed from `Breakdowns.splitFrom` on, by variant. */
  identities: ReadonlyMap<string, number>;
  excludedIdentities: number;
  /** Adjusted for all values looked at. */
  pValue: number;
  /** The part of the whole deviation that is gone without it, 0 to 1. */
  explained: number;
  /** True if the check would pass without it. */
  isFairWithout: boolean;
  /** Causes in other dimensions with nearly the same identities. */
  sameAs: readonly CauseValue[];
  /** One sentence. */
  detail: string;
};

export type CauseReport = {
  /** At most 5 values of one dimension, the worst first. */
  causes: readonly Cause[];
  /** The start of the first bucket from which the check fails, in epoch milliseconds; null: from the start, or unclear. */
  beganAt: number | null;
  /** The answer in one or two sentences, also without a cause. */
  detail: string;
};

/** Two sets of identities are nearly the same if no count differs by more than this fraction of it. */
const TOLERANCE = 0.05;
/** More would make the sentence too long. */
const MAX_VERSIONS = 3;

/**
 * Finds the values that explain a check's finding best, in the dimension that explains it best. Counts do not tell how many
 * identities values of two dimensions share, so a cause in a second dimension shows only after the first is fixed.
 */
export function findCauses(
  check: "sample_ratio" | "multiple_variants",
  { dimensions }: Breakdowns,
  variants: readonly Variant[],
): CauseReport {
  const weighted = variants.filter(({ weight }) => weight > 0);
  const deviation =
    check === "sample_ratio"
      ? splitDeviation(weighted)
      : shareDeviation(MAX_HEALTHY_SHARE, ({ excluded, counted }) => [excluded, counted]);
  const all = dimensions.map((breakdown) => findSuspects(breakdown, deviation, dimensions.length));
  const [best] = all.filter(({ length }) => length > 0).sort((a, b) => scoreOf(b) - scoreOf(a));
  const [breakdown] = dimensions;
  if (best === undefined || breakdown === undefined)
    return { causes: [], beganAt: null, detail: describeNoCause(findAlike(dimensions, deviation)) };

  // Each identity has exactly one value in each dimension.
  const whole = wholeOf(breakdown, deviation);
  const last = all
    .flat()
    .find(
      ({ breakdown: { dimension, values }, to, counts }) =>
        dimension === FIRST_EXPOSURE && to === values.length && isFair(minus(whole, counts), deviation),
    );
  const beganAt = last === undefined ? null : Number(placeOf(last).value);
  const causes = best.map((suspect): Cause => {
    const { breakdown, from, to, counts, pValue, explained } = suspect;
    const values = breakdown.values.slice(from, to);
    const rest = minus(whole, counts);
    const isFairWithout = isFair(rest, deviation);
    const mirrors = all.flat().filter((other) => other.breakdown !== breakdown && isNearly(other.counts, counts));
    const arms = weighted.map(({ key }, index) => ({
      key,
      share: deviation.shares[index] ?? 0,
      identities: counts[index] ?? 0,
    }));
    const finding =
      check === "sample_ratio"
        ? `${describeWorst(arms, sumOf(counts))}; without these, ${isFairWithout ? "the split is fair" : `${formatPercent(explained)} of the deviation is gone`}`
        : `${describeShare(counts)} saw several variants; without these, ${describeShare(rest)} did${hadMoreTime(suspect) ? ", but later ones have had less time to see a second variant" : ""}`;
    return {
      ...placeOf(suspect),
      identities: identitiesOf(values),
      excludedIdentities: sumOf(values.map(({ excluded }) => excluded)),
      pValue,
      explained,
      isFairWithout,
      sameAs: mirrors.map(placeOf),
      detail: describeCause(suspect, mirrors, finding),
    };
  });
  const remaining = best.reduce((rest, { counts }) => minus(rest, counts), whole);
  return { causes, beganAt, detail: describeCauses(best, isFair(remaining, deviation), beganAt) };
}

function identitiesOf(values: readonly BreakdownValue[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { identities } of values)
    for (const [variant, count] of identities) sums.set(variant, (sums.get(variant) ?? 0) + count);
  return sums;
}

const describeShare = ([some = 0, others = 0]: Counts) =>
  `${formatNumber(some)} of ${formatNumber(some + others)} (${formatPercent(some / (some + others))})`;

/** A share of excluded identities grows with the age of a bucket, so it is larger in early ones even if nothing has changed. */
const hadMoreTime = ({ breakdown: { dimension, values }, from, to }: Suspect): boolean =>
  dimension === FIRST_EXPOSURE && from === 0 && to < values.length;

const scoreOf = (suspects: readonly Suspect[]) => sumOf(suspects.map(({ score }) => score));

const placeOf = ({ breakdown: { dimension, values }, from }: Suspect): CauseValue => ({
  dimension,
  value: values[from]?.value ?? null,
});

const isNearly = (counts: Counts, others: Counts): boolean =>
  counts.every((count, index) => Math.abs(count - (others[index] ?? 0)) <= TOLERANCE * count);

/**
 * Names the SDK versions that have clearly more than their share of late identities, or of identities with a variant that is
 * not configured. Returns a clause, or null without such a version.
 */
export function describeSdkVersions(
  check: "late_events" | "unknown_variants",
  { dimensions }: Breakdowns,
  variants: readonly Variant[],
): string | null {
  const breakdown = dimensions.find(({ dimension }) => dimension === "sdk_version");
  if (breakdown === undefined) return null;
  const known = variants.filter(({ weight }) => weight > 0).map(({ key }) => key);
  const deviation = shareDeviation(0, ({ late, counted, excluded, identities }) => {
    if (check === "late_events") return [late, counted + excluded - late];
    const knownIdentities = sumOf(known.map((key) => identities.get(key) ?? 0));
    return [sumOf([...identities.values()]) - knownIdentities, knownIdentities];
  });
  const names = findSuspects(breakdown, deviation, 1)
    .map((suspect) => placeOf(suspect).value)
    .filter((value) => value !== null)
    .slice(0, MAX_VERSIONS);
  return names.length === 0 ? null : `especially with SDK version ${formatList(names.map(quoteName))}`;
}
