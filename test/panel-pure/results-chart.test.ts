import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aggregations, expectedDirections, type Metric } from "../../src/experiment.ts";
import { intervalAxisOf } from "../../src/panel/interval-axis.ts";
import { PALETTES } from "../../src/panel/palettes.ts";
import { drawResults } from "../../src/panel/results-chart.ts";
import type { Comparison } from "../../src/results/compare.ts";
import { computeResults, type MetricResult, type Results } from "../../src/results/compute-results.ts";
import type { Moments } from "../../src/results/moments.ts";
import { HOSTILE_NAMES } from "../support/hostile-names.ts";
import { readSvg, type Shape, xOf, yOf } from "../support/svg.ts";
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

const comparisonOf = (fields: Partial<Comparison>): Comparison => ({
  ...{ lift: null, interval: null, verdict: "collecting", pValue: null },
  ...{ credibleInterval: null, chanceToWin: null, varianceReduction: null, ...fields },
});
const WINNING = comparisonOf({ verdict: "winning", lift: 0.1, interval: [0.05, 0.15] });

/** A metric with a mean of 2 and 1000 identities in the control, 2.2 and 1100 in each treatment. */
function metricResult(comparisons: Record<string, Comparison>, fields: Partial<Metric> = {}): MetricResult {
  const figures = { sum: 0, standardDeviation: 1 };
  const treatments = Object.keys(comparisons).map((key) => [key, { ...figures, identities: 1100, mean: 2.2 }] as const);
  return {
    ...{ metric: metricOf(fields), invalidValues: 0, comparisons: new Map(Object.entries(comparisons)) },
    variants: new Map([["control", { ...figures, identities: 1000, mean: 2 }], ...treatments]),
  };
}
const resultsWith = (...metrics: MetricResult[]): Results => ({ control: "control", metrics });
const numbered = (count: number) =>
  metricResult(Object.fromEntries(Array.from({ length: count }, (_, index) => [`v${index}`, WINNING])));

/** The parts of a picture, in pixels from its top left corner. */
function drawn(results: Results | null, changes: Partial<Parameters<typeof drawResults>[1]> = {}) {
  const shapes = readSvg(drawResults(results, { ...options, ...changes }).toString());
  const texts = shapes.filter(({ tag }) => tag === "text");
  return {
    shapes,
    label: shapes[0]?.attributes["aria-label"],
    height: Number(shapes[0]?.attributes["height"]),
    lines: texts.filter(({ attributes }) => !("text-anchor" in attributes)),
    axis: texts.filter(({ attributes }) => attributes["text-anchor"] === "middle"),
    bars: shapes.filter(({ attributes }) => attributes["stroke-width"] === "4"),
  };
}
const textOf = ({ text }: Shape) => text;
const textsIn = (...drawing: Parameters<typeof drawn>) => drawn(...drawing).lines.map(textOf);

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
    const styles = drawn(resultsWith(metricResult({ b: WINNING }))).lines.map(({ attributes }) => [
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
    const { lines, bars, axis } = drawn({ ...results, metrics });
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
    ["results", null, options.asOf],
    ["their time", resultsWith(metricResult({ b: WINNING })), null],
  ])("state that nothing is computed yet without %s", (_, results, asOf) => {
    const line = drawn(results, { asOf }).lines[1];
    expect(line?.text).toBe("N/A: not computed yet");
    expect(line?.attributes["fill"]).toBe(PALETTES.light.faint);
  });

  it("warn in bold and in the bad colour, for as many lines as it takes", () => {
    const { lines } = drawn(resultsWith(metricResult({ b: WINNING })), { health: "unhealthy", width: 320 });
    const warning = lines.filter(({ attributes }) => attributes["fill"] === PALETTES.light.bad);
    expect(warning.map(textOf).join(" ")).toBe(
      "Do not believe these results. The health is unhealthy: fix its cause first.",
    );
    expect(warning.map(({ attributes }) => attributes["font-weight"])).toEqual(["600", "600"]);
  });
});

describe("the length of a line of drawResults", () => {
  /** The characters between the margins of 16 pixels, at 6.6 pixels each. */
  const maxLengthAt = (width: number) => Math.floor((width - 32) / 6.6);

  it.each([320, 333, 760, 4000])("cuts a name that does not fit into %i pixels, and no shorter one", (width) => {
    const fits = "n".repeat(maxLengthAt(width));
    expect(textsIn(null, { width, name: fits })[0]).toBe(fits);
    expect(textsIn(null, { width, name: `${fits}n` })[0]).toBe(`${fits.slice(1)}…`);
  });

  it("cuts between characters", () => {
    expect(textsIn(null, { width: 320, name: "🧪".repeat(100) })[0]).toBe(`${"🧪".repeat(42)}…`);
    expect(textsIn(null, { width: 320, name: "🧪".repeat(43) })[0]).toBe("🧪".repeat(43));
  });

  it.each([320, 500, 761])("cuts the names of metrics and variants that do not fit into %i pixels", (width) => {
    const long = "n".repeat(1000);
    const results = resultsWith(metricResult({ [long]: WINNING }, { name: long }));
    const cut = textsIn(results, { width }).filter((text) => text.endsWith("…"));
    expect(cut.map((text) => text.length)).toEqual(Array(4).fill(maxLengthAt(width)));
  });

  it("is as long as the next word allows, in sentences", () => {
    const name = "one two three four five six seven eight nine ten eleven twelve";
    const results = resultsWith(metricResult({ b: WINNING }, { name }));
    for (let width = 320; width < 800; width += 7) {
      const texts = textsIn(results, { width });
      const lines = texts.slice(3, texts.indexOf("goal: more is better, control: 2") - 1);
      expect(lines.join(" ")).toBe(`${name}: b is winning, with a lift of +10.0% (+5.0% to +15.0%).`);
      for (const [index, line] of lines.entries()) {
        expect(line.length).toBeLessThanOrEqual(maxLengthAt(width));
        const next = lines[index + 1]?.split(" ")[0];
        if (next !== undefined) expect(`${line} ${next}`.length).toBeGreaterThan(maxLengthAt(width));
      }
    }
  });
});

describe("the intervals of drawResults", () => {
  const results = resultsWith(
    metricResult({ b: WINNING, c: comparisonOf({ verdict: "losing", lift: -0.1, interval: [-0.18, -0.02] }) }),
    metricResult({ b: comparisonOf({ verdict: "inconclusive", lift: 0, interval: [-0.05, 0.05] }) }),
  );

  it("are on one axis, which contains all of them", () => {
    const { bars } = drawn(results);
    expect(intervalAxisOf(results)).toEqual({ from: -0.2, to: 0.2 });
    const pixels = (lift: number) => 24 + ((lift + 0.2) / 0.4) * (760 - 48);
    const intervals = [
      [0.05, 0.15],
      [-0.18, -0.02],
      [-0.05, 0.05],
    ];
    const ends = bars.map(({ points }) => points.map(([x]) => x));
    expect(ends).toEqual(intervals.map((interval) => interval.map((lift) => expect.closeTo(pixels(lift), 1))));
  });

  it("are each below their line", () => {
    const { bars, lines } = drawn(results);
    const sentences = lines.filter(({ text }) => /^[bc] is/.test(text));
    expect(bars.map(yOf)).toEqual(sentences.map((sentence) => yOf(sentence) + 16));
  });

  it("have the labels of the axis below all of them, at the bottom", () => {
    const { axis, bars, height } = drawn(results);
    expect(axis.map(textOf)).toEqual(["−20%", "−15%", "−10%", "−5%", "0", "+5%", "+10%", "+15%", "+20%"]);
    expect(axis.map(yOf)).toEqual(Array(9).fill(height - 20));
    expect(height - 20).toBeGreaterThan(Math.max(...bars.map(yOf)) + 11);
    expect([axis[0], axis.at(-1)].map((label) => label && xOf(label))).toEqual([24, 736]);
  });

  it("have the labels if only one of the metrics has comparisons", () => {
    const none = metricResult({});
    expect(drawn(resultsWith(none, ...results.metrics)).axis).toHaveLength(9);
    expect(drawn(resultsWith(none, none)).axis).toEqual([]);
  });
});

describe("the layout of drawResults", () => {
  it.each([320, 760])("has lines that neither overlap nor leave the picture, at a width of %i", (width) => {
    const results = resultsWith(metricResult({ b: WINNING, c: WINNING }), metricResult({ b: WINNING }));
    const { lines, height } = drawn(results, { width, health: "unhealthy" });
    expect(lines.map(xOf)).toEqual(lines.map(() => 16));
    const baselines = lines.map(yOf);
    expect(baselines[0]).toBe(16 + 13);
    for (const [index, baseline] of baselines.slice(1).entries()) {
      expect(baseline - (baselines[index] ?? 0)).toBeGreaterThanOrEqual(18);
      expect(baseline - (baselines[index] ?? 0)).toBeLessThanOrEqual(18 + 12 + 22);
    }
    // Below the last line are its interval, the axis and the margin.
    expect(height - (baselines.at(-1) ?? 0)).toBe(5 + 22 + 18 + 16);
  });

  it("is as tall as it must be, on a ground of that size", () => {
    const { shapes, height } = drawn(null);
    expect(height).toBe(2 * 16 + 2 * 18);
    const { ground } = PALETTES.light;
    expect(shapes[1]).toMatchObject({ tag: "rect", attributes: { width: "760", height: `${height}`, fill: ground } });
  });

  it("parts the conclusion and the metrics from what is above them", () => {
    const baselines = drawn(resultsWith(metricResult({ b: WINNING }))).lines.map(yOf);
    const steps = baselines.slice(1).map((baseline, index) => baseline - (baselines[index] ?? 0));
    expect(steps).toEqual([18, 18 + 6, 18, 18 + 12, 18, 18]);
  });
});

describe("the max number of comparisons in drawResults", () => {
  it("is 60 over all metrics, and metrics without any of them are left out", () => {
    const { lines, bars } = drawn(resultsWith(numbered(40), numbered(30), numbered(5)));
    expect(bars).toHaveLength(60);
    expect(lines.filter(({ text }) => text === "Purchases")).toHaveLength(2);
    expect(lines.at(-1)?.text).toBe("and 15 more in the CSV");
    expect(lines.at(-1)?.attributes["fill"]).toBe(PALETTES.light.faint);
  });

  it("hides nothing up to 60", () => {
    const { lines, bars } = drawn(resultsWith(numbered(40), numbered(20)));
    expect(bars).toHaveLength(60);
    expect(lines.map(textOf).join()).not.toContain("in the CSV");
  });
});

describe("the description of drawResults", () => {
  const results = resultsWith(metricResult({ "<b>": WINNING }));
  const conclusion = "Winning. Purchases: <b> is winning, with a lift of +10.0% (+5.0% to +15.0%).";

  it.each([null, "waiting", "healthy", "warning"] as const)("is the conclusion, if the health is %s", (health) => {
    expect(drawn(results, { health }).label).toBe(`Checkout: ${conclusion}`);
    expect(textsIn(results, { health })[2]).toBe("Winning");
  });

  it("begins with the warning if the experiment is unhealthy", () => {
    const warning = "Do not believe these results. The health is unhealthy: fix its cause first.";
    expect(drawn(results, { health: "unhealthy" }).label).toBe(`Checkout: ${warning} ${conclusion}`);
  });

  it("states that nothing is computed yet", () => {
    expect(drawn(null).label).toBe("Checkout: not computed yet");
  });

  it("isolates names from the direction of the text around them", () => {
    const svg = drawResults(results, options).toString();
    expect(svg).toMatch(/aria-label="\u2068Checkout\u2069: Winning\. \u2068Purchases\u2069: /);
  });
});

// `npx vitest run --config test/vitest.config.ts --project unit test/panel-pure -u` writes the pictures anew. Look at each.
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
  const svg = drawResults(results, { ...options, palette: PALETTES[theme], health: "unhealthy" }).toString();
  await expect(svg).toMatchFileSnapshot(`pictures/results-${theme}.svg`);
});
