import { describe, expect, it } from "vitest";
import { aggregations, expectedDirections } from "../../src/experiment.ts";
import {
  describeAggregation,
  describeDirection,
  formatChance,
  formatInterval,
  formatLift,
  formatMean,
  formatWait,
} from "../../src/results/format-results.ts";

describe("formatLift", () => {
  it.each([
    [0, "0.0%"],
    [0.112, "+11.2%"],
    [-0.0043, "\u22120.43%"],
    [0.00025, "+0.025%"],
    [-0.5, "\u221250.0%"],
    [9.999, "+999.9%"],
    [10, "+1,000%"],
    [12.4, "+1,240%"],
    [9999, "+999,900%"],
    [10_000, "+1E6%"],
    [1e300, "+1E302%"],
  ])("formats %d as %s", (lift, text) => {
    expect(formatLift(lift)).toBe(text);
  });
});

describe("formatInterval", () => {
  it("has both ends with their signs", () => {
    expect(formatInterval([-0.05, 0.27])).toBe("\u22125.0% to +27.0%");
  });
});

describe("formatMean", () => {
  it.each([
    ["occurrence", 0.042, "4.2%"],
    ["sum", 1234.567, "1,235"],
    ["mean", -0.5, "\u22120.5"],
    ["count", 0, "0"],
    ["sum", 999_900_000, "999,900,000"],
    ["sum", 1e9, "1E9"],
    ["sum", 1e12, "1E12"],
    ["sum", 1e-4, "0.0001"],
    ["sum", 1e-7, "1E\u22127"],
    ["sum", null, "N/A"],
    ["sum", Number.NaN, "N/A"],
    ["occurrence", null, "N/A"],
  ] as const)("formats a %s of %d as %s", (aggregation, mean, text) => {
    expect(formatMean(aggregation, mean)).toBe(text);
  });
});

describe("formatChance", () => {
  it.each([
    [0.5, "50%"],
    [0.954, "95%"],
    [0.9449, "94%"],
    [0.9845, "98%"],
    [0.99, "99%"],
    [0.9904, "99%"],
    [0.9944, "99.4%"],
    [0.996, "99.6%"],
    [0.999, "99.9%"],
    [0.99999, ">99.9%"],
    [1, ">99.9%"],
    [0.001, "0.1%"],
    [0.0014, "0.14%"],
    [0, "<0.1%"],
  ])("formats %d as %s", (chance, text) => {
    expect(formatChance(chance)).toBe(text);
  });
});

describe("formatWait", () => {
  it.each([
    [0, "now"],
    [0.2, "within a day"],
    [1, "in 1 day"],
    [3.31, "in 3.4 days"],
    [9.91, "in 10 days"],
    [10, "in 10 days"],
    [23.4, "in 24 days"],
    [3650, "in 3,650 days"],
    [4000, "in over 10 years"],
  ])("formats %d days as %s", (days, text) => {
    expect(formatWait(days)).toBe(text);
  });
});

describe("the words for a metric", () => {
  it("say what is counted, and which way is good", () => {
    expect(aggregations.map(describeAggregation)).toEqual([
      ...["identities with the event", "events per identity", "sum of values per identity"],
      "average value per identity",
    ]);
    expect(expectedDirections.map(describeDirection)).toEqual([
      ...["goal: more is better", "goal: less is better"],
      ...["guardrail: must not increase", "guardrail: must not decrease"],
    ]);
  });
});
