import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { computeFigures } from "../../src/results/metric-figures.ts";
import type { Moments } from "../../src/results/moments.ts";
import { sensitivityOf } from "../../src/results/sensitivity.ts";
import { fromConversions } from "../support/moments.ts";

const metric = { aggregation: "sum", expectedDirection: "increase" } as const;
const variants = ["control", "a", "b"].map((key) => ({ key, weight: 1 }));

/** Arms whose values have this mean and this standard deviation. */
const armOf = (identities: number, mean: number, deviation: number): Moments => ({
  identities,
  sum: identities * mean,
  squaredDeviations: deviation ** 2 * (identities - 1),
  covariate: null,
});
const figuresOf = (arms: readonly Moments[], configured = variants) =>
  computeFigures(metric, new Map(arms.map((arm, index) => [variants[index]?.key ?? "", arm])), configured, "control");

describe("sensitivityOf", () => {
  it("finds the lift at which the widest interval touches 0", () => {
    const figures = figuresOf([armOf(1000, 10, 5), armOf(1000, 10, 5), armOf(500, 10, 5)]);
    const interval = figures.comparisons.get("b")?.interval;
    expect(interval).toBeDefined();
    expect(sensitivityOf(figures, "control", null, [])?.lift).toBeCloseTo(interval?.[1] ?? 0, 10);
  });

  it("finds the day on which a lift can be detected: with these identities its interval excludes 0, with 1 % less it does not", () => {
    const arms = fc.record({
      identities: fc.integer({ min: 100, max: 100_000 }),
      mean: fc.double({ min: 1, max: 100, noNaN: true }),
      spread: fc.double({ min: 0.2, max: 3, noNaN: true }),
      lift: fc.double({ min: 0.005, max: 0.2, noNaN: true }),
      perDay: fc.integer({ min: 10, max: 1_000_000 }),
    });
    fc.assert(
      fc.property(arms, ({ identities, mean, spread, lift, perDay }) => {
        const armsOf = (factor: number) =>
          Array.from({ length: 3 }, () => armOf(identities * factor, mean, mean * spread));
        const days = sensitivityOf(figuresOf(armsOf(1)), "control", perDay, [lift])?.days.get(lift) ?? -1;
        expect(days).toBeGreaterThanOrEqual(0);
        const factor = 1 + (days * perDay) / (3 * identities);
        const shows = (factor: number) => {
          const { interval, verdict } = figuresOf(armsOf(factor)).comparisons.get("a") ?? {};
          return (interval?.[1] ?? Number.POSITIVE_INFINITY) <= lift * (1 + 1e-4) && verdict !== "collecting";
        };
        expect(shows(factor * 1.001)).toBe(true);
        if (days > 0) expect(shows(factor * 0.99)).toBe(false);
      }),
      { seed: 5, numRuns: 200 },
    );
  });

  it("has no days without new identities, except for a lift that can be detected now", () => {
    const figures = figuresOf([armOf(10_000, 10, 5), armOf(10_000, 10, 5), armOf(10_000, 10, 5)]);
    expect(sensitivityOf(figures, "control", null, [0.1, 0.001])?.days).toEqual(new Map([[0.1, 0]]));
  });

  it("says that nothing shows yet while all comparisons are collecting, and waits for 50 identities an arm", () => {
    const few = figuresOf([armOf(20, 10, 0.1), armOf(20, 10, 0.1), armOf(20, 10, 0.1)]);
    // 90 more in all three arms.
    expect(sensitivityOf(few, "control", 10, [0.1])).toEqual({ lift: null, days: new Map([[0.1, 9]]) });
    const imprecise = figuresOf([armOf(1000, 10, 100), armOf(1000, 10, 100), armOf(1000, 10, 100)]);
    expect(sensitivityOf(imprecise, "control", null, [10])).toEqual({ lift: null, days: new Map() });
  });

  it("waits for the smaller arm to have 50 identities", () => {
    const uneven = [armOf(1000, 10, 0.1), armOf(20, 10, 0.1)];
    // 20 grow to 50 while all 1,020 grow to 2,550.
    expect(sensitivityOf(figuresOf(uneven, variants.slice(0, 2)), "control", 10, [0.1])?.days).toEqual(
      new Map([[0.1, 153]]),
    );
  });

  it.each([0, 1, 2, 20])("leaves a treatment with %i identities out beside one with a verdict", (identities) => {
    const arms = [armOf(1000, 10, 5), armOf(1000, 10, 5)];
    const figures = figuresOf([...arms, armOf(identities, 10, 1)]);
    const [, high] = figures.comparisons.get("a")?.interval ?? [];
    expect(high).toBeDefined();
    const sensitivity = sensitivityOf(figures, "control", 1000, [0.01, 0.2]);
    expect(sensitivity?.lift).toBeCloseTo(high ?? 0, 10);
    expect(sensitivity?.days.get(0.2)).toBe(0);
    // The identities of the third arm get their share of the new ones.
    const share = (2000 + identities) / 2000;
    const alone = sensitivityOf(figuresOf(arms), "control", 1000, [0.01])?.days.get(0.01) ?? Number.NaN;
    expect(sensitivity?.days.get(0.01)).toBeCloseTo(alone * share, 6);
  });

  it("has no wait of 0 days while all comparisons are collecting", () => {
    const occurrence = { aggregation: "occurrence", expectedDirection: "increase" } as const;
    const arms = new Map([
      ["control", fromConversions(50_000, 20_000)],
      ["a", fromConversions(50_000, 4)],
    ]);
    const figures = computeFigures(occurrence, arms, variants.slice(0, 2), "control");
    expect(figures.comparisons.get("a")?.verdict).toBe("collecting");
    const sensitivity = sensitivityOf(figures, "control", 1000, [0.1, 0.0001]);
    expect(sensitivity?.lift).toBeNull();
    expect([...(sensitivity?.days.keys() ?? [])]).toEqual([0.0001]);
  });

  it("never waits for a lift that can be detected now, even if only a look-back makes the control precise enough", () => {
    const arm: Moments = {
      ...armOf(1000, 10, 40),
      // The covariate explains 99.9 % of the variance.
      covariate: { sum: 10_000, squaredDeviations: 40 ** 2 * 999, productsOfDeviations: 40 ** 2 * 999 * 0.9995 },
    };
    const figures = figuresOf([arm, arm], variants.slice(0, 2));
    const { lift, days } = sensitivityOf(figures, "control", 1000, [0.1]) ?? {};
    expect(lift).toBeLessThan(0.1);
    expect(days).toEqual(new Map([[0.1, 0]]));
  });

  it("waits for the comparison that takes longest", () => {
    const [lift, perDay] = [0.01, 300];
    const figures = figuresOf([armOf(1000, 10, 5), armOf(1000, 10, 5), armOf(1000, 10, 50)]);
    const days = sensitivityOf(figures, "control", perDay, [lift])?.days.get(lift) ?? Number.NaN;
    const factor = 1 + (days * perDay) / 3000;
    const grown = figuresOf([5, 5, 50].map((deviation) => armOf(1000 * factor, 10, deviation)));
    expect(grown.comparisons.get("b")?.interval?.[1]).toBeCloseTo(lift, 4);
    expect(grown.comparisons.get("a")?.interval?.[1]).toBeLessThan(lift / 2);
  });

  it("is null without an interval", () => {
    expect(sensitivityOf(figuresOf([armOf(100, 0, 0), armOf(100, 0, 0)]), "control", 10, [0.1])).toBeNull();
  });

  it("ends for a lift that would take longer than any number of identities", () => {
    const figures = figuresOf([armOf(100, 1e-6, 1e6), armOf(100, 1e-6, 1e6)]);
    const days = sensitivityOf(figures, "control", 10, [0.02])?.days.get(0.02);
    expect(days).toBeGreaterThan(3650);
  });
});
