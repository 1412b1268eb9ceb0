import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Comparison, compare } from "../../src/results/compare.ts";
import type { Moments } from "../../src/results/moments.ts";
import { anyArms } from "../support/arbitrary-arms.ts";
import { fromConversions, fromSquares, momentsOf } from "../support/moments.ts";

// Flagsmith's values are those of version 2.265.0 (Flagsmith/flagsmith, api/tests/unit/experimentation/test_stats.py).

/** `SEED=… npm test -- test/results/compare` uses another seed. A failure prints its seed. */
const seed = Number(process.env["SEED"] ?? 20261124);

/** The comparison that has no lift. */
const NOTHING: Comparison = {
  lift: null,
  interval: null,
  pValue: null,
  credibleInterval: null,
  chanceToWin: null,
  varianceReduction: null,
  verdict: "collecting",
};

const goal = { aggregation: "sum", expectedDirection: "increase" } as const;

describe("compare › Flagsmith's figures", () => {
  it("are those of test_compare_to_control__more_conversions", () => {
    const [control, treatment] = [fromConversions(1000, 100), fromConversions(1000, 120)];
    const { lift, credibleInterval, chanceToWin } = compare(control, treatment, goal, 1);
    expect(lift).toBeCloseTo(0.2, 12);
    expect(Math.abs((credibleInterval?.[0] ?? 0) + 0.10074)).toBeLessThan(1e-4);
    expect(Math.abs((credibleInterval?.[1] ?? 0) - 0.50074)).toBeLessThan(1e-4);
    expect(Math.abs((chanceToWin ?? 0) - 0.90379)).toBeLessThan(1e-4);
  });

  it("are even for identical arms", () => {
    const arm = fromConversions(1000, 100);
    const { lift, credibleInterval, chanceToWin } = compare(arm, arm, goal, 1);
    expect({ lift, chanceToWin }).toEqual({ lift: 0, chanceToWin: 0.5 });
    expect(credibleInterval?.[0]).toBe(-(credibleInterval?.[1] ?? 0));
  });

  it.each(["decrease", "not_increase"] as const)("has the chance of a negative lift for %s", (expectedDirection) => {
    const [control, treatment] = [fromConversions(1000, 100), fromConversions(1000, 120)];
    const { chanceToWin } = compare(control, treatment, { aggregation: "occurrence", expectedDirection }, 1);
    expect(chanceToWin).toBeCloseTo(1 - 0.90379, 4);
  });

  it("stay unadjusted with a covariate, for one treatment or many", () => {
    fc.assert(
      fc.property(anyArms, ({ control, treatment }) => {
        const figuresOf = ({ credibleInterval, chanceToWin }: Comparison) => ({ credibleInterval, chanceToWin });
        const adjusted = compare(control, treatment, goal, 3);
        if (adjusted.lift === null) return;
        const withoutCovariate = (arm: Moments) => ({ ...arm, covariate: null });
        const plain = compare(withoutCovariate(control), withoutCovariate(treatment), goal, 1);
        expect(figuresOf(adjusted)).toEqual(figuresOf(plain));
      }),
      { seed },
    );
  });
});

/** Sizes of a number at both ends of the range of doubles. NaN stands for a number that is too large. */
const anySize = fc.oneof(
  fc.constantFrom(0, 5e-324, 1e-300, 1e-160, 1, 2.5, 1e160, 1e308, Number.NaN),
  fc.double({ min: 0, max: 1e308, noNaN: true }),
);
const anySigned = fc.tuple(anySize, fc.constantFrom(1, -1)).map(([size, sign]) => sign * size);
const anyMoments: fc.Arbitrary<Moments> = fc.record({
  identities: fc.oneof(fc.constantFrom(0, 1, 2), fc.integer({ min: 50, max: 1_000_000 })),
  sum: fc.oneof(anySize, anySigned),
  squaredDeviations: anySize,
  covariate: fc.option(fc.record({ sum: anySigned, squaredDeviations: anySize, productsOfDeviations: anySigned })),
});

describe("compare", () => {
  it("has all figures, finite and in agreement, or none, however large or small the values are", () => {
    fc.assert(
      fc.property(anyMoments, anyMoments, fc.integer({ min: 1, max: 20 }), (control, treatment, treatments) => {
        const comparison = compare(control, treatment, goal, treatments);
        const { lift, interval, pValue, credibleInterval, chanceToWin, varianceReduction, verdict } = comparison;
        const isAdjusted = control.covariate !== null && treatment.covariate !== null;
        const numbers = [control, treatment].flatMap(({ covariate, ...arm }) => [
          ...Object.values(arm).filter((value) => value !== null),
          ...(isAdjusted && covariate !== null ? Object.values(covariate) : []),
        ]);
        if (numbers.some(Number.isNaN)) expect(lift).toBeNull();
        if (
          lift === null ||
          interval === null ||
          pValue === null ||
          credibleInterval === null ||
          chanceToWin === null
        ) {
          expect(comparison).toEqual(NOTHING);
          return;
        }
        for (const figure of [lift, ...interval, ...credibleInterval]) expect(figure).toSatisfy(Number.isFinite);
        expect(varianceReduction === null).toBe(!isAdjusted);
        for (const share of [pValue, chanceToWin, varianceReduction ?? 0]) {
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(1);
        }
        const alpha = 0.05 / treatments;
        if (Math.abs(pValue / alpha - 1) < 1e-9) return;
        expect(interval[0] > 0 || interval[1] < 0).toBe(pValue < alpha);
        expect(["collecting", pValue >= alpha ? "inconclusive" : lift > 0 ? "winning" : "losing"]).toContain(verdict);
      }),
      { seed, numRuns: 2000 },
    );
  });

  // SequentialTwoSidedTTest of GrowthBook's gbstats 0.8.0 (growthbook/growthbook, commit 8f1db44), run with
  // sequential_tuning_parameter = 5000 and our alpha.
  const visits = { control: fromSquares(1000, 5000, 40_000), treatment: fromSquares(1100, 6500, 58_000) };
  const conversions = { control: fromConversions(50_000, 2500), treatment: fromConversions(50_000, 2750) };
  const fewer = { control: fromSquares(20_000, 60_000, 300_000), treatment: fromSquares(5000, 13_500, 66_000) };
  it.each([
    {
      arms: visits,
      treatments: 1,
      expected: [0.18181818181818182, 0.061745225675838095, 0.3018911379605256, 0.00040291364926311573],
    },
    {
      arms: visits,
      treatments: 3,
      expected: [0.18181818181818182, 0.04752401793255909, 0.31611234570380453, 0.00027327933286010447],
    },
    {
      arms: conversions,
      treatments: 1,
      expected: [0.09999999999999995, 0.0012595995048424041, 0.1987404004951575, 0.043378817553980306],
    },
    {
      arms: fewer,
      treatments: 2,
      expected: [-0.09999999999999994, -0.14266869096371845, -0.05733130903628141, 2.59061599804514e-13],
    },
  ])("has the lift, interval and p-value of GrowthBook's engine: $expected", ({ arms, treatments, expected }) => {
    const { lift, interval, pValue } = compare(arms.control, arms.treatment, goal, treatments);
    const actual = [lift, ...(interval ?? []), pValue];
    for (const [index, value] of expected.entries())
      expect(Math.abs((actual[index] ?? Number.NaN) / value - 1)).toBeLessThan(1e-9);
  });

  it("has no figures if there is no lift", () => {
    expect(compare(momentsOf(3, []), momentsOf(3, [1, 2, 3]), goal, 1)).toEqual(NOTHING);
  });

  it("does not depend on the unit of the values, nor on the unit and the origin of the covariate", () => {
    fc.assert(
      fc.property(anyArms, fc.integer({ min: -20, max: 20 }), ({ a, b, control, treatment }, power) => {
        const unit = 2 ** power;
        const rescale = (pairs: readonly (readonly [number, number])[]) =>
          momentsOf(
            pairs.length,
            pairs.map(([value]) => value * unit),
            pairs.map(([, covariate]) => covariate * unit * 8 + 3),
          );
        const [before, after] = [compare(control, treatment, goal, 1), compare(rescale(a), rescale(b), goal, 1)];
        if (before.lift === null || (before.varianceReduction ?? 0) > 0.999) return;
        expect(after.lift).toBeCloseTo(before.lift, 6);
        expect(after.pValue).toBeCloseTo(before.pValue ?? Number.NaN, 6);
        expect(after.chanceToWin).toBeCloseTo(before.chanceToWin ?? Number.NaN, 9);
        expect(after.verdict).toBe(before.verdict);
      }),
      { seed },
    );
  });

  it("widens the interval with the number of treatments", () => {
    const [control, treatment] = [fromConversions(1000, 100), fromConversions(1000, 120)];
    const widths = [1, 2, 3, 19].map((treatments) => {
      const { interval } = compare(control, treatment, goal, treatments);
      return (interval?.[1] ?? 0) - (interval?.[0] ?? 0);
    });
    expect(widths).toEqual(widths.toSorted((a, b) => a - b));
    expect(new Set(widths).size).toBe(4);
  });
});
