import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { liftOver } from "../../src/results/lift.ts";
import type { Moments } from "../../src/results/moments.ts";
import { sequentialOf } from "../../src/results/sequential.ts";

// Values of others: GrowthBook's gbstats 0.8.0 (growthbook/growthbook, commit 8f1db44, packages/stats/tests). Those by mpmath
// 1.3 are computed with 50 digits from the formula as it is published.

/** `SEED=… npm test -- test/results/sequential` uses another seed. A failure prints its seed. */
const seed = Number(process.env["SEED"] ?? 20261124);

/** GrowthBook's proportions have the variance p (1 − p). */
const proportion = (n: number, sum: number): Moments => ({
  identities: n,
  sum,
  squaredDeviations: (n - 1) * (sum / n) * (1 - sum / n),
  covariate: null,
});
const relativeError = (actual: number | undefined, expected: number) => Math.abs((actual ?? Number.NaN) / expected - 1);

describe("sequentialOf", () => {
  it.each([
    [0.11, 0.03, 10_000, 0.05, 0.01815568343397749, 0.2018443165660225, 0.007365355962918347],
    [-0.2, 0.05, 100, 0.05, -0.534719430853302, 0.134719430853302, 0.359806462277346],
    [0.02, 0.001, 100_000_000, 0.05, 0.01576130911199668, 0.024238690888003317, 5.520421988067817e-85],
    [0.3, 0.1, 5000, 0.05 / 3, -0.041228138065594715, 0.6412281380655948, 0.05566548891262434],
    [0.5, 0.01, 400, 0.05 / 19, 0.45142027069945834, 0.5485797293005417, 1.6717488951676127e-291],
  ])("is mpmath's for the lift %d ± %d of %d identities and α = %d", (lift, standardError, n, alpha, low, high, p) => {
    const { interval, pValue } = sequentialOf({ lift, standardError }, n, alpha);
    expect(relativeError(interval[0], low)).toBeLessThan(1e-12);
    expect(relativeError(interval[1], high)).toBeLessThan(1e-12);
    expect(relativeError(pValue, p)).toBeLessThan(1e-10);
  });

  it("has the interval of GrowthBook's test_sequential_test_runs_prop", () => {
    const lift = liftOver(proportion(3000, 1396), proportion(3461, 2422));
    if (lift === null) throw new Error("The lift does not exist.");
    const { interval, pValue } = sequentialOf(lift, 6461, 0.05);
    expect(lift.lift).toBeCloseTo(0.50386, 5);
    expect(interval[0]).toBeCloseTo(0.40098, 5);
    expect(interval[1]).toBeCloseTo(0.60675, 5);
    expect(pValue).toBeCloseTo(0, 5);
  });

  it("has a p-value of at most 1 and above 0", () => {
    expect(sequentialOf({ lift: 0, standardError: 1 }, 100, 0.05).pValue).toBe(1);
    expect(sequentialOf({ lift: 1e9, standardError: 1 }, 100, 0.05).pValue).toBe(Number.MIN_VALUE);
  });

  it("excludes 0 exactly if the p-value is below α", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -10, max: 10, noNaN: true }),
        fc.integer({ min: 4, max: 1e9 }),
        fc.integer({ min: 1, max: 20 }),
        (lift, identities, treatments) => {
          const alpha = 0.05 / treatments;
          const { interval, pValue } = sequentialOf({ lift, standardError: 1 }, identities, alpha);
          if (Math.abs(pValue / alpha - 1) < 1e-9) return;
          expect(interval[0] > 0 || interval[1] < 0).toBe(pValue < alpha);
        },
      ),
      { seed },
    );
  });
});
