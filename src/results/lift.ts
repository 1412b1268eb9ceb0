import { type Moments, sampleOf } from "./moments.ts";

/** The intervals of larger figures may overflow. */
const MAX = 1e300;

/** The lift of a treatment over the control, relative to the control's mean: 0.1 is 10 % more. */
export type Lift = {
  lift: number;
  /** The standard error of `lift`, above 0. */
  standardError: number;
};

/**
 * The lift (m_t − m_c) / m_c, with its standard error by the delta method, se² = s_t² / (n_t m_c²) + m_t² s_c² / (n_c m_c⁴).
 * Null if it does not exist: fewer than two identities in an arm, a control mean of 0 or less, no variance, or an overflow.
 * Source: Deng, Knoblich and Lu, "Applying the Delta Method in Metric Analytics" (2018), section 3.1.
 */
export function liftOver(control: Moments, treatment: Moments): Lift | null {
  const [c, t] = [sampleOf(control), sampleOf(treatment)];
  if (c === null || t === null || c.mean <= 0) return null;
  // Divided by the mean before squaring, which neither overflows nor underflows for means far from 1.
  const ratio = t.mean / c.mean;
  const treatmentPart = Math.sqrt(t.variance / treatment.identities) / c.mean;
  const controlPart = ratio * (Math.sqrt(c.variance / control.identities) / c.mean);
  const lift = (t.mean - c.mean) / c.mean;
  const standardError = Math.hypot(treatmentPart, controlPart);
  return Math.abs(lift) < MAX && standardError < MAX && standardError > 0 ? { lift, standardError } : null;
}
