import { describe, expect, it } from "vitest";
import { intervalAxisOf } from "../../src/panel/interval-axis.ts";
import { PALETTES } from "../../src/panel/palettes.ts";
import {
  comparisonOf,
  drawnResults,
  metricResult,
  numbered,
  resultsWith,
  textsIn,
  WINNING,
} from "../support/drawn-results.ts";
import { textOf, xOf, yOf } from "../support/svg.ts";

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
    // The last line, a sentence about the variant, shortens its key instead.
    const cut = textsIn(results, { width })
      .slice(0, -1)
      .filter((text) => text.endsWith("…"));
    expect(cut.map((text) => text.length)).toEqual(Array(3).fill(maxLengthAt(width)));
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
    const { bars } = drawnResults(results);
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
    const { bars, lines } = drawnResults(results);
    const sentences = lines.filter(({ text }) => /^[bc] is/.test(text));
    expect(bars.map(yOf)).toEqual(sentences.map((sentence) => yOf(sentence) + 16));
  });

  it("have the labels of the axis below all of them, at the bottom", () => {
    const { axis, bars, height } = drawnResults(results);
    expect(axis.map(textOf)).toEqual(["−20%", "−15%", "−10%", "−5%", "0", "+5%", "+10%", "+15%", "+20%"]);
    expect(axis.map(yOf)).toEqual(Array(9).fill(height - 20));
    expect(height - 20).toBeGreaterThan(Math.max(...bars.map(yOf)) + 11);
    expect([axis[0], axis.at(-1)].map((label) => label && xOf(label))).toEqual([24, 736]);
  });

  it("have the labels if only one of the metrics has comparisons", () => {
    const none = metricResult({});
    expect(drawnResults(resultsWith(none, ...results.metrics)).axis).toHaveLength(9);
    expect(drawnResults(resultsWith(none, none)).axis).toEqual([]);
  });
});

describe("the layout of drawResults", () => {
  it.each([320, 760])("has lines that neither overlap nor leave the picture, at a width of %i", (width) => {
    const results = resultsWith(metricResult({ b: WINNING, c: WINNING }), metricResult({ b: WINNING }));
    const { lines, height } = drawnResults(results, { width, health: "unhealthy" });
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
    const { shapes, height } = drawnResults(null);
    expect(height).toBe(2 * 16 + 2 * 18);
    const { ground } = PALETTES.light;
    expect(shapes[1]).toMatchObject({ tag: "rect", attributes: { width: "760", height: `${height}`, fill: ground } });
  });

  it("parts the conclusion and the metrics from what is above them", () => {
    const baselines = drawnResults(resultsWith(metricResult({ b: WINNING }))).lines.map(yOf);
    const steps = baselines.slice(1).map((baseline, index) => baseline - (baselines[index] ?? 0));
    expect(steps).toEqual([18, 18 + 6, 18, 18 + 12, 18, 18]);
  });
});

describe("the max number of comparisons in drawResults", () => {
  it("is 60 over all metrics, and metrics without any of them are left out", () => {
    const { lines, bars } = drawnResults(resultsWith(numbered(40), numbered(30), numbered(5)));
    expect(bars).toHaveLength(60);
    expect(lines.filter(({ text }) => text === "Purchases")).toHaveLength(2);
    expect(lines.at(-1)?.text).toBe("and 15 more in the CSV");
    expect(lines.at(-1)?.attributes["fill"]).toBe(PALETTES.light.faint);
  });

  it("hides nothing up to 60", () => {
    const { lines, bars } = drawnResults(resultsWith(numbered(40), numbered(20)));
    expect(bars).toHaveLength(60);
    expect(lines.map(textOf).join()).not.toContain("in the CSV");
  });
});
