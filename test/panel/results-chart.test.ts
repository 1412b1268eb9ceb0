import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aggregations, expectedDirections, type Metric } from "../../src/experiment.ts";
import { PALETTES } from "../../src/panel/palettes.ts";
import { drawResults } from "../../src/panel/results-chart.ts";
import { computeResults, type Results } from "../../src/results/compute-results.ts";
import type { Moments } from "../../src/results/moments.ts";
import {
  comparisonOf,
  drawnResults,
  metricOf,
  metricResult,
  resultsOptions,
  resultsWith,
  textsIn,
  WINNING,
} from "../support/drawn-results.ts";
import { HOSTILE_NAMES } from "../support/hostile-names.ts";
import { textOf } from "../support/svg.ts";
import { problemOfXml } from "../support/xml.ts";

const armOf = (identities: number, mean: number, deviation: number): Moments => ({
  identities,
  sum: identities * mean,
  squaredDeviations: deviation ** 2 * identities,
  covariate: null,
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
        const svg = drawResults(results, { ...resultsOptions, width, name }).toString();
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
        ...drawResults(results, { ...resultsOptions, health })
          .toString()
          .matchAll(/<text[^>]*>\u2068(.*?)\u2069/g),
      ].map(([, text]) => text);
    expect(textsOf("healthy")[2]).toBe("Winning");
    expect(textsOf("unhealthy")[2]).toMatch(/^Do not believe these results/);
  });

  it("draws a winner in the good colour, where less is better too, and a harmed guardrail in the bad one", () => {
    const [low, high] = [armOf(5000, 1, 0.5), armOf(5000, 1.2, 0.5)];
    const { good, bad } = PALETTES.light;
    const draw = (results: Results) => drawResults(results, resultsOptions).toString();
    expect(draw(two(low, high))).toContain(`fill="${good}"`);
    expect(draw(two(high, low, metricOf({ expectedDirection: "decrease" })))).toContain(`fill="${good}"`);
    const harmed = draw(two(low, high, metricOf({ expectedDirection: "not_increase" })));
    expect(harmed).toContain(`fill="${bad}"`);
    expect(harmed).not.toContain(`fill="${good}"`);
  });

  it("says that nothing is computed yet", () => {
    expect(drawResults(null, { ...resultsOptions, asOf: null }).toString()).toContain("N/A: not computed yet");
  });

  it("draws at most 60 comparisons and counts the others", () => {
    const arms = Array.from({ length: 101 }, (_, index) => [`v${index}`, armOf(100, 1, 1)] as const);
    expect(drawResults(resultsOf(metricOf(), arms), resultsOptions).toString()).toContain("and 40 more in the CSV");
  });
});

describe("the lines of drawResults", () => {
  it("state the conclusion, then each comparison below its metric", () => {
    const results = resultsWith(
      metricResult({ b: WINNING, c: comparisonOf({ verdict: "collecting" }) }),
      metricResult(
        { b: comparisonOf({ verdict: "unharmed", lift: -0.02, interval: [-0.04, 0.01] }) },
        {
          name: "Refunds",
          expectedDirection: "not_increase",
        },
      ),
    );
    expect(textsIn(results)).toEqual([
      "Checkout",
      "as of 2026-06-01 00:00 UTC",
      "Winning",
      "Purchases: b is winning, with a lift of +10.0% (+5.0% to +15.0%).",
      "Purchases",
      "goal: more is better, control: 2",
      "b is winning: +10.0% (+5.0% to +15.0%), 2.2, 1,100 identities",
      "c is collecting: 2.2, 1,100 identities",
      "Refunds",
      "guardrail: must not increase, control: 2",
      "b is harmless so far: \u22122.0% (\u22124.0% to +1.0%), 2.2, 1,100 identities",
    ]);
  });

  it("are bold where they are titles, and faint where they are details", () => {
    const styles = drawnResults(resultsWith(metricResult({ b: WINNING }))).lines.map(({ attributes }) => [
      attributes["font-weight"] === "600" ? "bold" : "plain",
      attributes["fill"] === PALETTES.light.faint ? "faint" : attributes["fill"],
    ]);
    const { ink } = PALETTES.light;
    const [title, detail, sentence] = [
      ["bold", ink],
      ["plain", "faint"],
      ["plain", ink],
    ];
    expect(styles).toEqual([title, detail, title, sentence, title, detail, sentence]);
  });

  it("shorten a long key of a variant, so that the figures behind it are shown", () => {
    const [long, short] = ["v".repeat(200), `${"v".repeat(23)}…`];
    const compared = resultsWith(metricResult({ [long]: WINNING }));
    expect(textsIn(compared)).toContain(`${short} is winning: +10.0% (+5.0% to +15.0%), 2.2, 1,100 identities`);
    const arm = armOf(1000, 2, 1);
    const texts = textsIn(
      resultsOf(metricOf(), [
        [long, arm],
        ["b", arm],
      ]),
    );
    expect(texts).toContain(`goal: more is better, ${short}: 2`);
    const metrics = compared.metrics.map((metric) => ({ ...metric, comparisons: new Map() }));
    expect(textsIn({ ...compared, metrics })).toContain(`${short}, not compared: 2.2, 1,100 identities`);
  });

  it("keep a key of 24 characters", () => {
    const key = "v".repeat(24);
    expect(textsIn(resultsWith(metricResult({ [key]: WINNING }))).at(-1)).toMatch(new RegExp(`^${key} is winning`));
  });

  it.each([
    ["lift", { interval: [0, 1] as const }],
    ["interval", { lift: 0.1 }],
  ])("state no figures without one of them: there is only the %s", (_, fields) => {
    const results = resultsWith(metricResult({ b: comparisonOf(fields) }));
    expect(textsIn(results)).toContain("b is collecting: 2.2, 1,100 identities");
  });

  it("state that a variant that is not configured is not compared, and draw no interval", () => {
    const results = resultsOf(metricOf(), [["control", armOf(1000, 2, 1)]]);
    const unknown = { identities: 1, sum: 3, mean: 3, standardDeviation: null };
    const metrics = results.metrics.map((metric) => ({ ...metric, variants: new Map([["x", unknown]]) }));
    const { lines, bars, axis } = drawnResults({ ...results, metrics });
    expect(lines.map(textOf)).toContain("x, not compared: 3, 1 identity");
    expect([bars, axis]).toEqual([[], []]);
  });

  it("state the direction alone without a control", () => {
    const results = { ...resultsWith(metricResult({ b: WINNING })), control: null };
    expect(textsIn(results)).toContain("goal: more is better");
  });

  it("state N/A for a control that the metric has no figures of", () => {
    const results = { ...resultsWith(metricResult({ b: WINNING })), control: "a" };
    expect(textsIn(results)).toContain("goal: more is better, a: N/A");
  });

  it.each([
    ["results", null, resultsOptions.asOf],
    ["their time", resultsWith(metricResult({ b: WINNING })), null],
  ])("state that nothing is computed yet without %s", (_, results, asOf) => {
    const line = drawnResults(results, { asOf }).lines[1];
    expect(line?.text).toBe("N/A: not computed yet");
    expect(line?.attributes["fill"]).toBe(PALETTES.light.faint);
  });

  it("warn in bold and in the bad colour, for as many lines as it takes", () => {
    const { lines } = drawnResults(resultsWith(metricResult({ b: WINNING })), { health: "unhealthy", width: 320 });
    const warning = lines.filter(({ attributes }) => attributes["fill"] === PALETTES.light.bad);
    expect(warning.map(textOf).join(" ")).toBe(
      "Do not believe these results. The health is unhealthy: fix its cause first.",
    );
    expect(warning.map(({ attributes }) => attributes["font-weight"])).toEqual(["600", "600"]);
  });
});

describe("the description of drawResults", () => {
  const results = resultsWith(metricResult({ "<b>": WINNING }));
  const conclusion = "Winning. Purchases: <b> is winning, with a lift of +10.0% (+5.0% to +15.0%).";

  it.each([null, "waiting", "healthy", "warning"] as const)("is the conclusion, if the health is %s", (health) => {
    expect(drawnResults(results, { health }).label).toBe(`Checkout: ${conclusion}`);
    expect(textsIn(results, { health })[2]).toBe("Winning");
  });

  it("begins with the warning if the experiment is unhealthy", () => {
    const warning = "Do not believe these results. The health is unhealthy: fix its cause first.";
    expect(drawnResults(results, { health: "unhealthy" }).label).toBe(`Checkout: ${warning} ${conclusion}`);
  });

  it("states that nothing is computed yet", () => {
    expect(drawnResults(null).label).toBe("Checkout: not computed yet");
  });

  it("isolates names from the direction of the text around them", () => {
    const svg = drawResults(results, resultsOptions).toString();
    expect(svg).toMatch(/aria-label="\u2068Checkout\u2069: Winning\. \u2068Purchases\u2069: /);
  });
});

// `npx vitest run --config test/vitest.config.ts --project unit test/panel -u` writes the pictures anew. Look at each.
it.each(["light", "dark"] as const)("draws the committed picture in %s colours", async (theme) => {
  const results = resultsWith(
    metricResult({ b: WINNING, c: comparisonOf({ verdict: "losing", lift: -0.7, interval: [-1.3, -0.1] }) }),
    metricResult(
      {
        b: comparisonOf({ verdict: "harmed", lift: 4, interval: [2, 6] }),
        c: comparisonOf({ lift: 0.1, interval: [-0.2, 0.4] }),
      },
      { name: "Refunds", expectedDirection: "not_increase" },
    ),
  );
  const svg = drawResults(results, { ...resultsOptions, palette: PALETTES[theme], health: "unhealthy" }).toString();
  await expect(svg).toMatchFileSnapshot(`pictures/results-${theme}.svg`);
});
