import type { Lift } from "./lift.ts";

/** The number of identities N* of both arms at which the interval is narrowest, compared with a single look. */
const TUNED_FOR = 5000;

/** Both ends of an interval, the lower one first. */
export type Interval = readonly [low: number, high: number];

/** An interval and a p-value that hold for any number of looks, at moments chosen for any reason. */
export type Sequential = { interval: Interval; pValue: number };

/**
 * The asymptotic confidence sequence of a lift, and the p-value against a lift of 0. The interval excludes 0 exactly when
 * the p-value is below `alpha`. Source: Waudby-Smith et al., "Time-uniform central limit theory and asymptotic confidence
 * sequences" (arXiv 2103.06476), equations 9 and 155; GrowthBook's sequential test has the same form.
 * @param identities N, those of both arms
 * @param alpha the probability that the interval ever misses the lift, between 0 and 1
 */
export function sequentialOf({ lift, standardError }: Lift, identities: number, alpha: number): Sequential {
  const halfWidth = standardError * halfWidthInErrors(identities, alpha);
  const spread = spreadOf(identities, alpha);
  const shrinkage = spread / (spread - 1);
  const z = lift / standardError;
  const logPValue = Math.log(spread) / 2 - (z * z) / (2 * shrinkage);
  return {
    interval: [lift - halfWidth, lift + halfWidth],
    // Not 0, even where the exact value underflows.
    pValue: Math.max(Math.exp(Math.min(logPValue, 0)), Number.MIN_VALUE),
  };
}

/**
 * The half-width of the confidence sequence in standard errors, √N √(2 (Nρ² + 1) / (N²ρ²) ln(√(Nρ² + 1) / α)). It is written
 * without its factor √N / N.
 */
export function halfWidthInErrors(identities: number, alpha: number): number {
  const spread = spreadOf(identities, alpha);
  return Math.sqrt(2 * (spread / (spread - 1)) * (Math.log(spread) / 2 - Math.log(alpha)));
}

/** N ρ² + 1. */
function spreadOf(identities: number, alpha: number): number {
  return identities * squaredRho(alpha) + 1;
}

/** ρ² = (−2 ln α + ln(−2 ln α + 1)) / N*. Source: Waudby-Smith et al., appendix B.2, as in GrowthBook's `sequential_rho`. */
function squaredRho(alpha: number): number {
  const log = -2 * Math.log(alpha);
  return (log + Math.log1p(log)) / TUNED_FOR;
}
