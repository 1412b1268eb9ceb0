import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { liftOver } from "../../src/results/lift.ts";
import type { Moments } from "../../src/results/moments.ts";
import { anyArms } from "../support/arbitrary-arms.ts";
import { fromSquares, momentsOf } from "../support/moments.ts";

// Values of others: GrowthBook's gbstats 0.8.0 (growthbook/growthbook, commit 8f1db44, packages/stats/tests). Those by mpmath
// 1.3 are computed with 50 digits from the formula as it is published.

/** `SEED=… npm test -- test/results/lift` uses another seed. A failure prints its seed. */
const seed = Number(process.env["SEED"] ?? 20261124);

/** GrowthBook's proportions have the variance p (1 − p). */
const proportion = (n: number, sum: number): Moments => ({
  identities: n,
  sum,
  squaredDeviations: (n - 1) * (sum / n) * (1 - sum / n),
  covariate: null,
});
const relativeError = (actual: number | undefined, expected: number) => Math.abs((actual ?? Number.NaN) / expected - 1);

describe("liftOver", () => {
  it("has the lift and the standard error of GrowthBook's test_two_sided_ttest", () => {
    const result = liftOver(fromSquares(3407, 1396.87, 52377.9767), fromSquares(3461, 2422.7, 134698.29));
    expect(result?.lift).toBeCloseTo(0.70732, 5);
    expect(result?.standardError).toBeCloseTo(0.37879, 5);
  });

  it("has those of GrowthBook's test_two_sided_ttest_binom", () => {
    const result = liftOver(proportion(28, 14), proportion(30, 16));
    expect(result?.lift).toBeCloseTo(0.06667, 5);
    expect(result?.standardError).toBeCloseTo(0.2717, 4);
  });

  it("has those of mpmath, also for means that are far from 1", () => {
    for (const scale of [1, 1e-150, 1e150]) {
      const arm = (n: number, mean: number, variance: number): Moments => ({
        identities: n,
        sum: n * mean * scale,
        squaredDeviations: (n - 1) * variance * scale ** 2,
        covariate: null,
      });
      const result = liftOver(arm(100, 2.7, 1.2), arm(120, 2.5, 1.5));
      expect(relativeError(result?.lift, -0.07407407407407407)).toBeLessThan(1e-13);
      expect(relativeError(result?.standardError, 0.0559100613304328)).toBeLessThan(1e-13);
    }
  });

  it.each([
    { why: "an arm has one identity", control: momentsOf(1, [2]), treatment: momentsOf(3, [1, 2, 3]) },
    { why: "an arm has none", control: momentsOf(3, [1, 2, 3]), treatment: momentsOf(0, []) },
    { why: "the control's mean is 0", control: momentsOf(3, []), treatment: momentsOf(3, [1, 2, 3]) },
    { why: "the control's mean is negative", control: momentsOf(2, [-3, 1]), treatment: momentsOf(3, [1, 2, 3]) },
    {
      why: "values differ by rounding only",
      control: { ...momentsOf(700, []), sum: 3290.0000000000005, squaredDeviations: 4.5e-28 },
      treatment: { ...momentsOf(900, []), sum: 4230, squaredDeviations: 5.8e-28 },
    },
    { why: "no value varies", control: momentsOf(2, [1, 1]), treatment: momentsOf(2, [2, 2]) },
    {
      why: "the standard error overflows",
      control: momentsOf(2, [1e-300, 0]),
      treatment: { ...momentsOf(2, [1e-300, 0]), squaredDeviations: 1e300 },
    },
    {
      why: "its interval overflows",
      control: momentsOf(2, [1e-150, 0]),
      treatment: { ...momentsOf(2, [1e150, 0]), squaredDeviations: 1e305 },
    },
    { why: "the lift overflows", control: momentsOf(2, [1e-300, 0]), treatment: momentsOf(2, [1e300, 0]) },
  ])("does not exist if $why", ({ control, treatment }) => {
    expect(liftOver(control, treatment)).toBeNull();
  });

  it("swaps ratio and standard error if the arms are swapped", () => {
    fc.assert(
      fc.property(anyArms, ({ control, treatment }) => {
        const [there, back] = [liftOver(control, treatment), liftOver(treatment, control)];
        if (there === null || back === null) return;
        const ratio = 1 + there.lift;
        expect(relativeError(1 + back.lift, 1 / ratio)).toBeLessThan(1e-12);
        expect(relativeError(back.standardError, there.standardError / ratio ** 2)).toBeLessThan(1e-9);
      }),
      { seed },
    );
  });
});
