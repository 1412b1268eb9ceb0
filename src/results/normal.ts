import { upperGamma } from "../gamma.ts";

/** The 97.5 % quantile of the standard normal distribution: 95 % lie within ± this. */
export const NORMAL_QUANTILE = 1.959963984540054;

/**
 * The standard normal distribution function Φ(z) = erfc(−z / √2) / 2, where erfc(x) = Q(½, x²) for x >= 0. The relative
 * error is below 1e-12 in both tails, down to the smallest normal number. Source: DLMF 7.2.2 and 7.11.2.
 */
export function normalCdf(z: number): number {
  // Beyond 40, the tail is 0 as a double.
  const tail = upperGamma(0.5, Math.min(z * z, 1600) / 2) / 2;
  return z < 0 ? tail : 1 - tail;
}
