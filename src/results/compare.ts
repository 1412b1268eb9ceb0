import type { Aggregation, ExpectedDirection } from "../experiment.ts";
import { adjust } from "./cuped.ts";
import { type Lift, liftOver } from "./lift.ts";
import type { Moments } from "./moments.ts";
import { NORMAL_QUANTILE, normalCdf } from "./normal.ts";
import { type Interval, sequentialOf } from "./sequential.ts";
import {
  hasEnoughData,
  isLiftReliable,
  isLowerBetter,
  type Verdict,
  verdictOf,
  withPooledVariance,
} from "./verdict.ts";

/** The probability that any interval of a metric ever misses its lift, over all treatments. */
export const RESULTS_ALPHA = 0.05;

/** One treatment against the control, for one metric. Figures of a lift that does not exist are null. */
export type Comparison = {
  /** Relative to the control's mean, adjusted if there is a covariate. */
  lift: number | null;
  /** The confidence sequence of `lift`. It and `pValue` hold for any number of looks. */
  interval: Interval | null;
  pValue: number | null;
  /** Flagsmith's figures, never adjusted. They hold for a single look. */
  credibleInterval: Interval | null;
  chanceToWin: number | null;
  /** The share that the covariate took off the squared standard error, 0 to 1; null without a covariate. */
  varianceReduction: number | null;
  verdict: Verdict;
};

const NO_COMPARISON: Comparison = {
  lift: null,
  interval: null,
  pValue: null,
  credibleInterval: null,
  chanceToWin: null,
  varianceReduction: null,
  verdict: "collecting",
};

/**
 * Compares a treatment with the control.
 * @param treatments the number of treatments that are compared with the control, at least 1
 */
export function compare(
  control: Moments,
  treatment: Moments,
  metric: { aggregation: Aggregation; expectedDirection: ExpectedDirection },
  treatments: number,
): Comparison {
  const plain = liftOver(control, treatment);
  const adjusted = adjust(control, treatment);
  const arms = adjusted ?? { control, treatment };
  const lift = liftOver(arms.control, arms.treatment);
  if (plain === null || lift === null) return NO_COMPARISON;
  const judge = (lift: Lift) => {
    const sequential = sequentialOf(lift, control.identities + treatment.identities, RESULTS_ALPHA / treatments);
    return { ...sequential, verdict: verdictOf(metric.expectedDirection, sequential.interval) };
  };
  const { interval, pValue, verdict } = judge(lift);
  const pooled = withPooledVariance(arms.control, arms.treatment);
  const cautious = liftOver(pooled.control, pooled.treatment);
  const isReliable =
    hasEnoughData(metric.aggregation, control, treatment) &&
    isLiftReliable(arms.control, arms.treatment) &&
    cautious !== null &&
    judge(cautious).verdict === verdict;
  return {
    lift: lift.lift,
    interval,
    pValue,
    ...singleLookOf(plain, metric.expectedDirection),
    varianceReduction: adjusted === null ? null : Math.max(0, 1 - (lift.standardError / plain.standardError) ** 2),
    verdict: isReliable ? verdict : "collecting",
  };
}

/**
 * Flagsmith's figures: the posterior of a flat prior is normal, with the lift and its standard error. Source:
 * `compare_to_control` in api/experimentation/stats.py of Flagsmith 2.265.0.
 */
function singleLookOf(
  { lift, standardError }: Lift,
  direction: ExpectedDirection,
): Pick<Comparison, "credibleInterval" | "chanceToWin"> {
  const halfWidth = NORMAL_QUANTILE * standardError;
  const z = lift / standardError;
  return {
    credibleInterval: [lift - halfWidth, lift + halfWidth],
    chanceToWin: normalCdf(isLowerBetter(direction) ? -z : z),
  };
}
