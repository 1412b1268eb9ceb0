import { describe, expect, it } from "vitest";
import { computeFigures, controlOf } from "../../src/results/metric-figures.ts";
import { NO_MOMENTS } from "../../src/results/moments.ts";
import { momentsOf } from "../support/moments.ts";

const variantsOf = (...keys: string[]) => keys.map((key) => ({ key, weight: 1 }));

describe("controlOf", () => {
  it.each([
    { configured: ["a", "control", "b"], seen: [], expected: "control" },
    { configured: ["a", "b"], seen: ["b", "control"], expected: "control" },
    { configured: ["a", "b"], seen: ["b", "Control"], expected: "a" },
    { configured: [], seen: ["control"], expected: null },
  ])("is $expected for $configured configured and $seen seen", ({ configured, seen, expected }) => {
    expect(controlOf(variantsOf(...configured), seen)).toBe(expected);
  });
});

describe("computeFigures", () => {
  const metric = { aggregation: "sum", expectedDirection: "increase" } as const;
  const moments = new Map([
    ["a", momentsOf(4, [2, 1, 5, 3])],
    ["b", momentsOf(4, [3, 4, 5, 6])],
    ["unknown", momentsOf(1, [9])],
  ]);

  it("has the figures of all variants, configured or seen", () => {
    const { variants } = computeFigures(metric, moments, variantsOf("a", "b", "empty"), "a");
    expect([...variants.keys()]).toEqual(["a", "b", "empty", "unknown"]);
    expect(variants.get("a")).toEqual({
      identities: 4,
      sum: 11,
      mean: 2.75,
      standardDeviation: Math.sqrt(8.75 / 3),
    });
    expect(variants.get("unknown")).toEqual({ identities: 1, sum: 9, mean: 9, standardDeviation: null });
    expect(variants.get("empty")).toEqual({ identities: 0, sum: 0, mean: null, standardDeviation: null });
  });

  it("compares configured variants with the control, with a level for all of them together", () => {
    const { comparisons } = computeFigures(metric, moments, variantsOf("a", "b", "empty"), "a");
    expect([...comparisons.keys()]).toEqual(["b", "empty"]);
    expect(comparisons.get("b")?.lift).toBeCloseTo(4.5 / 2.75 - 1, 12);
    expect(comparisons.get("empty")).toMatchObject({ lift: null, verdict: "collecting" });
    const alone = computeFigures(metric, moments, variantsOf("a", "b"), "a").comparisons.get("b");
    expect(comparisons.get("b")?.interval?.[0]).toBeLessThan(alone?.interval?.[0] ?? Number.NaN);
    expect(comparisons.get("b")?.credibleInterval).toEqual(alone?.credibleInterval);
  });

  it("compares with a control that is seen but not configured", () => {
    const { comparisons } = computeFigures(metric, moments, variantsOf("a", "b"), "unknown");
    expect([...comparisons.keys()]).toEqual(["a", "b"]);
  });

  it("has no comparisons without a control", () => {
    const { variants, comparisons } = computeFigures(metric, new Map([["a", NO_MOMENTS]]), variantsOf("a"), null);
    expect([...variants.keys()]).toEqual(["a"]);
    expect(comparisons.size).toBe(0);
  });
});
