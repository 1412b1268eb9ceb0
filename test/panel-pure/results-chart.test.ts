import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aggregations, expectedDirections, type Metric } from "../../src/experiment.ts";
import { PALETTES } from "../../src/panel/palettes.ts";
import { drawResults } from "../../src/panel/results-chart.ts";
import { computeResults, type Results } from "../../src/results/compute-results.ts";
import type { Moments } from "../../src/results/moments.ts";
import { HOSTILE_NAMES } from "../support/hostile-names.ts";
import { problemOfXml } from "../support/xml.ts";

const options = {
  ...{ width: 760, palette: PALETTES.light, name: "Checkout", asOf: Date.UTC(2026, 5, 1) },
  health: "healthy",
} as const;

const metricOf = (fields: Partial<Metric> = {}): Metric => ({
  ...{ key: "m", name: "Purchases", event: "purchase", aggregation: "count", expectedDirection: "increase" },
  ...{ conversionWindowHours: null, lookbackDays: 0, ...fields },
});
const armOf = (identities: number, mean: number, deviation: number): Moments => ({
  ...{ identities, sum: identities * mean, squaredDeviations: deviation ** 2 * identities, covariate: null },
});

function resultsOf(metric: Metric, arms: readonly (readonly [string, Moments])[]): Results {
  const variants = arms.map(([key]) => ({ key, weight: 1 }));
  const counted = [{ metric, invalidValues: 0, variants: new Map(arms) }];
  const results = computeResults(counted, { variants, metrics: [metric] });
  if (results === null) throw new Error("There are no results.");
  return results;
}

const two = (control: Moments, treatment: Moments, metric = metricOf()) =>
  resultsOf(metric, [
    ["control", control],
    ["treatment", treatment],
  ]);

describe("drawResults", () => {
  it("returns well-formed SVG without NaN or undefined, for any results", () => {
    const figure = fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(0, 1e-300, 1e300, -1, 5));
    const arm = fc.tuple(fc.constantFrom(...HOSTILE_NAMES), fc.nat({ max: 1e6 }), figure, figure);
    const metric = fc.record({
      name: fc.constantFrom(...HOSTILE_NAMES),
      aggregation: fc.constantFrom(...aggregations),
      expectedDirection: fc.constantFrom(...expectedDirections),
    });
    const arms = fc.uniqueArray(arm, { minLength: 1, maxLength: 6, selector: ([key]) => key });
    const width = fc.integer({ min: 320, max: 4000 });
    fc.assert(
      fc.property(metric, arms, width, fc.constantFrom(...HOSTILE_NAMES), (metric, arms, width, name) => {
        const results = resultsOf(
          metricOf(metric),
          arms.map(([key, ...figures]) => [key, armOf(...figures)] as const),
        );
        const svg = drawResults(results, { ...options, width, name }).toString();
        expect(problemOfXml(svg)).toBeNull();
        expect(svg).not.toMatch(/NaN|undefined|Infinity/);
      }),
      { seed: 3, numRuns: 150 },
    );
  });

  it("says first that results of an unhealthy experiment are not to be believed", () => {
    const results = two(armOf(5000, 1, 0.5), armOf(5000, 1.2, 0.5));
    const textsOf = (health: "healthy" | "unhealthy") =>
      [
        ...drawResults(results, { ...options, health })
          .toString()
          .matchAll(/<text[^>]*>\u2068(.*?)\u2069/g),
      ].map(([, text]) => text);
    expect(textsOf("healthy")[2]).toBe("Winning");
    expect(textsOf("unhealthy")[2]).toMatch(/^Do not believe these results/);
  });

  it("draws a winner in the good colour, where less is better too, and a harmed guardrail in the bad one", () => {
    const [low, high] = [armOf(5000, 1, 0.5), armOf(5000, 1.2, 0.5)];
    const { good, bad } = PALETTES.light;
    const draw = (results: Results) => drawResults(results, options).toString();
    expect(draw(two(low, high))).toContain(`fill="${good}"`);
    expect(draw(two(high, low, metricOf({ expectedDirection: "decrease" })))).toContain(`fill="${good}"`);
    const harmed = draw(two(low, high, metricOf({ expectedDirection: "not_increase" })));
    expect(harmed).toContain(`fill="${bad}"`);
    expect(harmed).not.toContain(`fill="${good}"`);
  });

  it("says that nothing is computed yet", () => {
    expect(drawResults(null, { ...options, asOf: null }).toString()).toContain("N/A: not computed yet");
  });

  it("draws at most 60 comparisons and counts the others", () => {
    const arms = Array.from({ length: 101 }, (_, index) => [`v${index}`, armOf(100, 1, 1)] as const);
    expect(drawResults(resultsOf(metricOf(), arms), options).toString()).toContain("and 40 more in the CSV");
  });
});
