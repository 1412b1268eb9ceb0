import { RESULTS_ALPHA } from "./compare.ts";
import type { MetricResult } from "./compute-results.ts";
import { halfWidthInErrors } from "./sequential.ts";
import { MAX_RELATIVE_ERROR, MIN_IDENTITIES } from "./verdict.ts";

/**
 * The precision of a metric's results, for its least precise treatment. Comparisons that are collecting do not count, unless
 * all of them are.
 */
export type Sensitivity = {
  /** The smallest lift, in either direction, whose interval would exclude 0 now; null while all comparisons are collecting. */
  lift: number | null;
  /** The days until a lift of this size can be detected, by size; 0: it can be now. */
  days: ReadonlyMap<number, number>;
};

/** The identities of one comparison, and what decides how many more it needs. A verdict takes `enough` of them. */
type Precision = { identities: number; enough: number; standardError: number };

/**
 * Estimates the sensitivity of a metric, as if its values kept their variance and the arms their shares. Null if no
 * comparison has an interval.
 * @param control the key of the control
 * @param identitiesPerDay the new identities a day, of all variants; null: unknown, or none
 */
export function sensitivityOf(
  { variants, comparisons }: Pick<MetricResult, "variants" | "comparisons">,
  control: string,
  identitiesPerDay: number | null,
  lifts: readonly number[],
): Sensitivity | null {
  const alpha = RESULTS_ALPHA / comparisons.size;
  const controlFigures = variants.get(control);
  const withVerdict = [...comparisons].filter(([, { verdict }]) => verdict !== "collecting");
  const isCollecting = withVerdict.length === 0;
  const precisions = (isCollecting ? [...comparisons] : withVerdict).flatMap(([variant, { interval }]): Precision[] => {
    const treatmentFigures = variants.get(variant);
    if (interval === null || controlFigures === undefined || treatmentFigures === undefined) return [];
    const { identities: ofControl, mean, standardDeviation } = controlFigures;
    if (mean === null || standardDeviation === null) return [];
    const identities = ofControl + treatmentFigures.identities;
    const standardError = (interval[1] - interval[0]) / 2 / halfWidthInErrors(identities, alpha);
    if (!isCollecting) return [{ identities, enough: identities, standardError }];
    const smallerArm = Math.min(ofControl, treatmentFigures.identities);
    const relativeError = standardDeviation / Math.sqrt(smallerArm) / mean;
    const growth = Math.max(1, (relativeError / MAX_RELATIVE_ERROR) ** 2, MIN_IDENTITIES / smallerArm);
    return [{ identities, enough: identities * growth, standardError }];
  });
  if (precisions.length === 0) return null;
  const total = [...variants.values()].reduce((sum, { identities }) => sum + identities, 0);
  const daysFor = (lift: number) =>
    precisions.map((precision) => {
      const more = identitiesFor(lift, precision, alpha) - precision.identities;
      if (more <= 0) return 0;
      return identitiesPerDay === null ? null : more / (identitiesPerDay * (precision.identities / total));
    });
  const days = lifts.flatMap((lift): [number, number][] => {
    const needed = daysFor(lift).filter((each) => each !== null);
    const longest = Math.max(...needed);
    // A lift does not show without a verdict, and this estimate checks only some of a verdict's rules.
    return needed.length < precisions.length || (isCollecting && longest === 0) ? [] : [[lift, longest]];
  });
  const halfWidths = precisions.map((each) => each.standardError * halfWidthInErrors(each.identities, alpha));
  return { lift: isCollecting ? null : Math.max(...halfWidths), days: new Map(days) };
}

/**
 * The identities of both arms at which an interval is narrow enough to exclude 0 for this lift, and which are enough for a
 * verdict. Standard errors shrink with the root of the identities.
 */
function identitiesFor(lift: number, precision: Precision, alpha: number): number {
  const { identities, enough, standardError } = precision;
  const shows = (count: number) =>
    standardError * Math.sqrt(identities / count) * halfWidthInErrors(count, alpha) <= lift;
  let [low, high] = [enough, enough];
  while (!shows(high) && high < Number.MAX_SAFE_INTEGER) [low, high] = [high, high * 2];
  // Halving the last step 20 times finds the count to one in a million.
  for (let step = 0; step < 20; step++) {
    const middle = (low + high) / 2;
    if (shows(middle)) high = middle;
    else low = middle;
  }
  return high;
}
