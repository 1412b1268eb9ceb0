import { describe, expect, it } from "vitest";
import type { Metric } from "../../src/experiment.ts";
import { computeResults } from "../../src/results/compute-results.ts";
import type { MetricCounts } from "../../src/results/metric-counts.ts";
import { metricJson, readMetric } from "../../src/results/metric-json.ts";
import type { Moments } from "../../src/results/moments.ts";
import { countsJson, countsText, parseCounts, readCountsJson } from "../../src/results/stored-counts.ts";

const metric: Metric = {
  key: "purchase",
  name: "Purchases",
  event: "purchase",
  aggregation: "sum",
  expectedDirection: "increase",
  conversionWindowHours: 24,
  lookbackDays: 7,
};
const covariate = { sum: 5, squaredDeviations: 1, productsOfDeviations: -1 };
const moments = (identities: number) => ({ identities, sum: identities / 3, squaredDeviations: 2, covariate });
const counted: MetricCounts[] = [
  {
    metric,
    invalidValues: 3,
    variants: new Map<string, Moments>([
      ["b", moments(7)],
      ["__proto__", moments(1)],
      ["2", { ...moments(0), covariate: null }],
      ["a", moments(9)],
    ]),
  },
];
const variants = ["b", "a"].map((key) => ({ key, weight: 1 }));

describe("computeResults", () => {
  it("has the configured variants in their order, then others by their keys", () => {
    const results = computeResults(counted, { variants, metrics: [metric] });
    expect(results?.control).toBe("b");
    expect([...(results?.metrics[0]?.variants.keys() ?? [])]).toEqual(["b", "a", "2", "__proto__"]);
    expect([...(results?.metrics[0]?.comparisons.keys() ?? [])]).toEqual(["a"]);
  });

  it.each<[change: Partial<Metric>, hasResults: boolean]>([
    [{ name: "Orders" }, true],
    [{ expectedDirection: "not_decrease" }, true],
    [{ key: "order" }, false],
    [{ event: "order" }, false],
    [{ aggregation: "mean" }, false],
    [{ conversionWindowHours: null }, false],
    [{ lookbackDays: 8 }, false],
  ])("has results of a metric after the edit %j: %s", (change, hasResults) => {
    const edited = { ...metric, ...change };
    const results = computeResults(counted, { variants, metrics: [edited] });
    expect(results?.metrics.map((each) => each.metric)).toEqual(hasResults ? [edited] : undefined);
  });

  it("compares with an unconfigured control that has identities", () => {
    const withControl = (identities: number) =>
      counted.map((each) => ({ ...each, variants: new Map([...each.variants, ["control", moments(identities)]]) }));
    const controlWith = (identities: number) =>
      computeResults(withControl(identities), { variants, metrics: [metric] })?.control;
    expect(controlWith(1)).toBe("control");
    expect(controlWith(0)).toBe("b");
  });

  it("is null without metrics, and without counts", () => {
    expect(computeResults(counted, { variants, metrics: [] })).toBeNull();
    expect(computeResults([], { variants, metrics: [metric] })).toBeNull();
  });
});

describe("stored counts", () => {
  it("are read as they were written", () => {
    expect(parseCounts(countsText(counted))).toEqual(counted);
    expect(parseCounts(null)).toEqual([]);
    expect(readMetric(metricJson(metric))).toEqual(metric);
  });

  it("keep that a sum is too large for a number", () => {
    const variants = new Map([["a", { ...moments(2), sum: Number.NaN }]]);
    const read = readCountsJson(JSON.parse(countsText([{ metric, invalidValues: 0, variants }]) ?? ""));
    expect(read).toEqual([{ metric, invalidValues: 0, variants }]);
    const results = computeResults(read, { variants: [], metrics: [metric] });
    expect(results?.metrics[0]?.variants.get("a")).toMatchObject({ identities: 2, sum: Number.NaN });
  });

  it("are refused if they are larger than a row has space for", () => {
    const wide = new Map(Array.from({ length: 10_000 }, (_, index) => [`${"v".repeat(150)}${index}`, moments(1)]));
    expect(countsText([{ metric, invalidValues: 0, variants: wide }])).toBeNull();
  });

  it.each<[what: string, edit: (stored: ReturnType<typeof countsJson>) => unknown]>([
    ["no list", () => ({})],
    ["a text in place of a list", () => "[]"],
    ...(["key", "name", "event", "expected_direction", "conversion_window_hours", "lookback_days"] as const).map(
      (field): [string, (stored: ReturnType<typeof countsJson>) => unknown] => [
        `an object as ${field}`,
        ([first]) => [{ ...first, metric: { ...first?.metric, [field]: {} } }],
      ],
    ),
    ["a variant whose key is a number", ([first]) => [{ ...first, variants: [{ ...first?.variants[0], key: 1 }] }]],
    [
      "a number of identities as text",
      ([first]) => [{ ...first, variants: [{ ...first?.variants[0], identities: "1" }] }],
    ],
    ["another aggregation", ([first]) => [{ ...first, metric: { ...first?.metric, aggregation: "max" } }]],
    ["a negative number of invalid values", ([first]) => [{ ...first, invalid_values: -1 }]],
    ["1e999 invalid values", ([first]) => [{ ...first, invalid_values: JSON.parse("1e999") }]],
    [
      "1e999 identities",
      ([first]) => [{ ...first, variants: [{ ...first?.variants[0], identities: JSON.parse("1e999") }] }],
    ],
    ["half an identity", ([first]) => [{ ...first, variants: [{ ...first?.variants[0], identities: 0.5 }] }]],
    ["a variant without a key", ([first]) => [{ ...first, variants: [{ identities: 1 }] }]],
    ["a sum as text", ([first]) => [{ ...first, variants: [{ ...first?.variants[0], sum: "1" }] }]],
    ["a missing covariate", ([first]) => [{ ...first, variants: [{ ...first?.variants[0], covariate: undefined }] }]],
  ])("are refused with %s", (_, edit) => {
    expect(() => readCountsJson(edit(countsJson(counted)))).toThrow(TypeError);
  });
});
