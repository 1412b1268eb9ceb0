import { type Covariate, isConstant, type Moments, mergeMoments } from "./moments.ts";

/** The share of the variance below which only rounding is left, since the moments are right to about 1e-6. */
const MIN_REST = 1e-6;

/**
 * Adjusts both arms by CUPED. Each value y becomes y − θ (x − x̄), where θ and the mean x̄ of the covariate are those of both
 * arms together. The adjusted arms have the same mean covariate, and lift and standard error follow from them as usual.
 * Null without a covariate.
 *
 * The standard error takes x̄ as known, which matters for large lifts only: with a correlation of 0.9, an interval of 95 %
 * covers a lift of 0.1 in 95 % of experiments, of 0.5 in 93 % and of 1 in 90 %.
 *
 * Source: Deng, Xu, Kohavi and Walker, "Improving the Sensitivity of Online Controlled Experiments by Utilizing
 * Pre-Experiment Data" (2013), section 3.2.
 */
export function adjust(control: Moments, treatment: Moments): { control: Moments; treatment: Moments } | null {
  const { identities, covariate } = mergeMoments(control, treatment);
  if (control.covariate === null || treatment.covariate === null || covariate === null) return null;
  const theta = thetaOf(identities, covariate);
  const mean = covariate.sum / identities;
  return {
    control: adjustArm(control, control.covariate, theta, mean),
    treatment: adjustArm(treatment, treatment.covariate, theta, mean),
  };
}

function adjustArm(arm: Moments, covariate: Covariate, theta: number, mean: number): Moments {
  const explained = theta * theta * covariate.squaredDeviations;
  const rest = arm.squaredDeviations + explained - 2 * theta * covariate.productsOfDeviations;
  return {
    identities: arm.identities,
    sum: arm.sum - theta * (covariate.sum - arm.identities * mean),
    // NaN, of numbers that are too large for a double, stays NaN: 0 would be a variance that is known.
    squaredDeviations: rest <= MIN_REST * (arm.squaredDeviations + explained) ? 0 : rest,
    covariate: null,
  };
}

/** θ = cov(x, y) / var(x), which leaves the least variance; 0, which adjusts nothing, if the covariate does not vary. */
export function thetaOf(identities: number, covariate: Covariate): number {
  return isConstant(identities, covariate) ? 0 : covariate.productsOfDeviations / covariate.squaredDeviations;
}
