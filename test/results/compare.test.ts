import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Comparison, compare } from "../../src/results/compare.ts";
import type { Moments } from "../../src/results/moments.ts";
import { anyArms } from "../support/arbitrary-arms.ts";
import { fromConversions, momentsOf } from "../support/moments.ts";

// Flagsmith's values are those of version 2.265.0 (Flagsmith/flagsmith, api/tests/unit/experimentation/test_stats.py).

/** `SEED=… npm test -- test/results/compare` uses another seed. A failure prints its seed. */
const seed = Number(process.env["SEED"] ?? 20261124);

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

describe("compare", () => {
  it("has no figures if there is no lift", () => {
    expect(compare(momentsOf(3, []), momentsOf(3, [1, 2, 3]), goal, 1)).toEqual({
      lift: null,
      interval: null,
      pValue: null,
      credibleInterval: null,
      chanceToWin: null,
      varianceReduction: null,
      verdict: "collecting",
    });
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
