import type { Aggregation, ExpectedDirection } from "../experiment.ts";
import { type Moments, sampleOf } from "./moments.ts";
import type { Interval } from "./sequential.ts";

/** Goals are `winning`, `losing` or `inconclusive`, guardrails `harmed` or `unharmed`. Either is `collecting` first. */
export const verdicts = ["collecting", "winning", "losing", "inconclusive", "harmed", "unharmed"] as const;
export type Verdict = (typeof verdicts)[number];

export const MIN_IDENTITIES = 50;
const MIN_CONVERSIONS = 5;

/**
 * The maximum relative standard error of the control's mean. The delta method divides by that mean. While it is far above
 * its true value, the lift's standard error is far too small: one large order in the control makes every treatment lose.
 * Source: Cochran, "Sampling Techniques" (1977), chapter 6, where the normal approximation of a ratio of means requires at
 * most 10 %. With 12.5 %, more than 5 % of simulated A/A experiments are called losing.
 */
export const MAX_RELATIVE_ERROR = 0.1;

/** True if a smaller value is the better one. */
export function isLowerBetter(direction: ExpectedDirection): boolean {
  return direction === "decrease" || direction === "not_increase";
}

/** True if both arms have the identities and conversions that a verdict needs. */
export function hasEnoughData(aggregation: Aggregation, control: Moments, treatment: Moments): boolean {
  const hasConversions = aggregation !== "occurrence" || Math.min(control.sum, treatment.sum) >= MIN_CONVERSIONS;
  return hasConversions && Math.min(control.identities, treatment.identities) >= MIN_IDENTITIES;
}

/**
 * True if the control's mean is precise enough for the delta method. It must also be precise with as few identities as the
 * treatment has: in a small arm of skewed values, the treatment's own standard error is too small as often. The treatment's
 * mean does not count. A treatment that stops almost all purchases would never be precise, and never be judged.
 */
export function isLiftReliable(control: Moments, treatment: Moments): boolean {
  const sample = sampleOf(control);
  if (sample === null) return false;
  const standardError = Math.sqrt(sample.variance / Math.min(control.identities, treatment.identities));
  return standardError <= MAX_RELATIVE_ERROR * sample.mean;
}

/**
 * Raises the variance of the smaller arm towards that of both arms together, the further the smaller it is. In an A/A
 * experiment both vary alike, but a small arm of skewed values may by chance vary far too little: where 99 % convert, 60
 * identities often convert without exception. Without this, 55 % of simulated A/A experiments with such conversions and a
 * split of 95 to 5 are called winning.
 */
export function withPooledVariance(control: Moments, treatment: Moments): { control: Moments; treatment: Moments } {
  const sum = control.squaredDeviations + treatment.squaredDeviations;
  const pooled = sum / (control.identities + treatment.identities - 2);
  function raise(arm: Moments, other: Moments): Moments {
    const missing = Math.max(0, pooled * (arm.identities - 1) - arm.squaredDeviations);
    const imbalance = Math.max(0, 1 - arm.identities / other.identities);
    return { ...arm, squaredDeviations: arm.squaredDeviations + missing * imbalance };
  }
  return { control: raise(control, treatment), treatment: raise(treatment, control) };
}

/** The verdict by the sequential interval of a lift, once there is enough data. */
export function verdictOf(direction: ExpectedDirection, [low, high]: Interval): Verdict {
  const lift = low > 0 ? 1 : high < 0 ? -1 : 0;
  const gain = isLowerBetter(direction) ? -lift : lift;
  if (direction === "not_increase" || direction === "not_decrease") return gain < 0 ? "harmed" : "unharmed";
  if (gain === 0) return "inconclusive";
  return gain > 0 ? "winning" : "losing";
}
