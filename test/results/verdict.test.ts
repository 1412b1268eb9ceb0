import { describe, expect, it } from "vitest";
import { compare } from "../../src/results/compare.ts";
import type { Moments } from "../../src/results/moments.ts";
import { verdictOf, withPooledVariance } from "../../src/results/verdict.ts";
import { fromConversions, momentsOf } from "../support/moments.ts";
import { uniforms } from "../support/random.ts";
import {
  conversion,
  type FalseVerdicts,
  findFalseVerdicts,
  oneAndSeldomTwo,
  revenue,
} from "../support/simulated-metric.ts";

describe("verdictOf", () => {
  it.each([
    { direction: "increase", verdicts: ["winning", "inconclusive", "losing"] },
    { direction: "decrease", verdicts: ["losing", "inconclusive", "winning"] },
    { direction: "not_increase", verdicts: ["harmed", "unharmed", "unharmed"] },
    { direction: "not_decrease", verdicts: ["unharmed", "unharmed", "harmed"] },
  ] as const)("is $verdicts for $direction and a lift above, around and below 0", ({ direction, verdicts }) => {
    const intervals = [
      [0.01, 0.2],
      [-0.1, 0.1],
      [-0.2, -0.01],
    ] as const;
    expect(intervals.map((interval) => verdictOf(direction, interval))).toEqual(verdicts);
    expect(verdictOf(direction, [0, 0.1])).toBe(verdicts[1]);
    expect(verdictOf(direction, [-0.1, 0])).toBe(verdicts[1]);
  });
});

describe("withPooledVariance", () => {
  const arm = (identities: number, variance: number): Moments => ({
    identities,
    sum: identities,
    covariate: null,
    squaredDeviations: variance * (identities - 1),
  });

  it("raises the variance of the smaller arm by its share of the other's missing identities", () => {
    // Together: (20 · 1 + 104 · 2.2) / 124.
    const { control, treatment } = withPooledVariance(arm(21, 1), arm(105, 2.2));
    expect(treatment).toEqual(arm(105, 2.2));
    expect(control.squaredDeviations).toBeCloseTo(20 * (1 + 0.8 * (248.8 / 124 - 1)), 10);
  });

  it("never lowers a variance, and changes nothing in equal arms", () => {
    expect(withPooledVariance(arm(20, 9), arm(100, 1))).toEqual({ control: arm(20, 9), treatment: arm(100, 1) });
    expect(withPooledVariance(arm(100, 9), arm(100, 1))).toEqual({ control: arm(100, 9), treatment: arm(100, 1) });
  });
});

describe("the verdict of a comparison", () => {
  const conversions = { aggregation: "occurrence", expectedDirection: "not_decrease" } as const;
  const counts = { aggregation: "count", expectedDirection: "not_decrease" } as const;

  it.each([
    { why: "the control has 49 identities", control: fromConversions(49, 40), treatment: fromConversions(500, 20) },
    { why: "the treatment has 49 identities", control: fromConversions(500, 400), treatment: fromConversions(49, 20) },
    { why: "the control has 4 conversions", control: fromConversions(2000, 4), treatment: fromConversions(2000, 900) },
    {
      why: "the treatment has 4 conversions",
      control: fromConversions(2000, 900),
      treatment: fromConversions(2000, 4),
    },
    // A relative standard error of √((1 − 0.05) / (0.05 · 1000)) = 13.8 %, and of 7.7 % with the larger arm's identities.
    {
      why: "the control's mean is imprecise",
      control: fromConversions(1000, 50),
      treatment: fromConversions(3200, 3200),
    },
    {
      why: "the treatment's arm is small",
      control: fromConversions(3200, 160),
      treatment: fromConversions(1000, 1000),
    },
  ])("is collecting if $why", ({ control, treatment }) => {
    const { lift, verdict } = compare(control, treatment, conversions, 1);
    expect(lift).not.toBeNull();
    expect(verdict).toBe("collecting");
  });

  it.each([
    { why: "50 identities", control: fromConversions(50, 40), treatment: fromConversions(50, 5), metric: conversions },
    {
      why: "5 conversions of a treatment",
      control: fromConversions(2000, 900),
      treatment: fromConversions(2000, 5),
      metric: conversions,
    },
    { why: "a count of 1", control: fromConversions(2000, 900), treatment: fromConversions(2000, 1), metric: counts },
    {
      why: "control's mean at 9.7 %",
      control: fromConversions(2000, 100),
      treatment: fromConversions(2000, 5),
      metric: conversions,
    },
  ])("is given from $why on", ({ control, treatment, metric }) => {
    expect(compare(control, treatment, metric, 1).verdict).toBe("harmed");
  });

  it("is collecting while one large order makes the control's mean", () => {
    const orders = Array.from({ length: 100 }, (_, index) => 10 + (index % 7));
    const [control, treatment] = [momentsOf(1000, [...orders, 100_000]), momentsOf(1000, orders)];
    const { interval, verdict } = compare(control, treatment, { ...counts, aggregation: "sum" }, 1);
    expect(interval?.[1]).toBeLessThan(0);
    expect(verdict).toBe("collecting");
  });
});

describe("the verdict where a small arm varies less than a large one", () => {
  const conversions = { aggregation: "occurrence", expectedDirection: "increase" } as const;

  it.each([
    { what: "treatment", control: fromConversions(1900, 1881), treatment: fromConversions(100, 100) },
    { what: "control", control: fromConversions(100, 100), treatment: fromConversions(1900, 1881) },
  ])("is collecting if only its luck makes a difference: the $what", ({ control, treatment }) => {
    const { interval, verdict } = compare(control, treatment, conversions, 1);
    expect((interval?.[0] ?? 0) * (interval?.[1] ?? 0)).toBeGreaterThan(0);
    expect(verdict).toBe("collecting");
  });

  it("is given once the difference exceeds the variance of both arms", () => {
    expect(compare(fromConversions(1900, 1710), fromConversions(100, 60), conversions, 1).verdict).toBe("losing");
    expect(compare(fromConversions(9000, 4500), fromConversions(1000, 10), conversions, 1).verdict).toBe("losing");
    expect(compare(fromConversions(9000, 4500), fromConversions(1000, 1000), conversions, 1).verdict).toBe("winning");
  });

  it("does not depend on the variance of equal arms, nor on one identity more", () => {
    expect(compare(fromConversions(1000, 980), fromConversions(1000, 1000), conversions, 1).verdict).toBe("winning");
    const arm = (identities: number, mean: number, deviation: number): Moments => ({
      identities,
      sum: identities * mean,
      covariate: null,
      squaredDeviations: deviation ** 2 * (identities - 1),
    });
    for (const identities of [3999, 4000, 4001])
      expect(
        compare(arm(identities, 10, 60), arm(4000, 7.4, 10), { ...conversions, aggregation: "sum" }, 1).verdict,
      ).toBe("losing");
  });

  it("stays unharmed or inconclusive where the interval holds 0", () => {
    const [control, treatment] = [fromConversions(1900, 1881), fromConversions(100, 99)];
    expect(compare(control, treatment, conversions, 1).verdict).toBe("inconclusive");
    expect(compare(control, treatment, { ...conversions, expectedDirection: "not_decrease" }, 1).verdict).toBe(
      "unharmed",
    );
  });
});

describe("the promise", () => {
  // The whole simulation is `npm run simulate -- --only results`.
  it.each([
    { what: "conversions of 1 %, four arms", metric: conversion(0.01), arms: [100, 100, 100, 100] },
    { what: "conversions of 5 %", metric: conversion(0.05), arms: [100, 100] },
    { what: "revenue with a heavy tail", metric: revenue(0.1, 1.5), arms: [100, 100] },
    { what: "revenue in a small arm", metric: revenue(0.1, 1.5), arms: [180, 20] },
    { what: "conversions of 99 % in a small arm", metric: conversion(0.99), arms: [95, 5] },
    { what: "conversions of 99 % in two small arms", metric: conversion(0.99), arms: [90, 5, 5] },
    { what: "conversions of 95 % in a small control", metric: conversion(0.95), arms: [10, 90] },
    { what: "counts of one and seldom two in a small arm", metric: oneAndSeldomTwo(0.01), arms: [180, 20] },
  ])("holds at 250 looks for $what, where Flagsmith's rule fails", ({ metric, arms }) => {
    const uniform = uniforms(20261124);
    const experiments = 60;
    const all = Array.from({ length: experiments }, () =>
      findFalseVerdicts({ metric, arms, lift: 0, looks: 250 }, uniform),
    );
    const shareOf = (rule: keyof FalseVerdicts) => all.filter((found) => found[rule]).length / experiments;
    expect(shareOf("verdict")).toBeLessThanOrEqual(0.05);
    expect(shareOf("flagsmith")).toBeGreaterThan(0.4);
  });
});
