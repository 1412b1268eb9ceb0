import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { drawAxisLabels, drawInterval, type IntervalAxis, intervalAxisOf } from "../../src/panel/interval-axis.ts";
import { PALETTES } from "../../src/panel/palettes.ts";
import type { Interval } from "../../src/results/sequential.ts";
import { type Verdict, verdicts } from "../../src/results/verdict.ts";
import { comparisonOf, metricResult, resultsWith } from "../support/drawn-results.ts";
import { readSvg, xOf, yOf } from "../support/svg.ts";

const seed = Number(process.env["SEED"] ?? 7);

type Judged = readonly [verdict: Verdict, interval: Interval | null];

/** The results of one metric with these comparisons. */
const resultsOf = (...judged: readonly Judged[]) =>
  resultsWith(
    metricResult(
      Object.fromEntries(
        judged.map(([verdict, interval], index) => [`v${index}`, comparisonOf({ verdict, interval })]),
      ),
    ),
  );

/** Intervals from 0.1 % wide to wider than any axis. */
const intervals = fc
  .tuple(fc.integer({ min: -1500, max: 4000 }), fc.integer({ min: 10, max: 2000 }), fc.constantFrom(1e3, 1e4))
  .map(([low, length, unit]): Interval => [low / unit, (low + length) / unit]);
const axes = fc
  .array(intervals, { maxLength: 3 })
  .map((intervals) => intervalAxisOf(resultsOf(...intervals.map((interval) => ["winning", interval] as const))));
const widths = fc.oneof(fc.constantFrom(320, 760, 4000), fc.integer({ min: 320, max: 4000 }));

describe("intervalAxisOf", () => {
  it("contains 0 and every judged interval from −100% to +300%", () => {
    fc.assert(
      fc.property(fc.array(intervals, { minLength: 1, maxLength: 5 }), (intervals) => {
        const { from, to } = intervalAxisOf(resultsOf(...intervals.map((each) => ["inconclusive", each] as const)));
        const within = (lift: number) => Math.min(3, Math.max(-1, lift));
        for (const [low, high] of [...intervals, [0, 0]]) {
          expect(from).toBeLessThanOrEqual(within(low));
          expect(to).toBeGreaterThanOrEqual(within(high));
        }
        expect(from).toBeGreaterThanOrEqual(-1);
        expect(to).toBeLessThanOrEqual(3);
      }),
      { seed },
    );
  });

  it.each<[Interval, IntervalAxis]>([
    [[0.012, 0.047], { from: 0, to: 0.05 }],
    [[-0.13, -0.02], { from: -0.15, to: 0 }],
    [[-0.037, 0.081], { from: -0.05, to: 0.1 }],
    [[-2, 0.2], { from: -1, to: 0.2 }],
    [[40, 60], { from: 0, to: 3 }],
  ])("of the interval %j is %j: it ends at round numbers", (interval, axis) => {
    expect(intervalAxisOf(resultsOf(["winning", interval]))).toEqual(axis);
  });

  it("is not widened by an interval that is still collecting", () => {
    const judged: Judged = ["losing", [-0.04, -0.01]];
    expect(intervalAxisOf(resultsOf(judged, ["collecting", [-0.9, 2]]))).toEqual(intervalAxisOf(resultsOf(judged)));
  });

  it("contains all intervals while every comparison is collecting", () => {
    const results = resultsOf(["collecting", [-0.4, 0.3]], ["collecting", [0.1, 0.8]], ["collecting", null]);
    expect(intervalAxisOf(results)).toEqual({ from: -0.4, to: 0.8 });
  });

  it.each([
    ["without comparisons", []],
    ["without intervals", [["collecting", null]]],
  ] as [string, Judged[]][])("is −10% to +10% %s", (_, judged) => {
    expect(intervalAxisOf(resultsOf(...judged))).toEqual({ from: -0.1, to: 0.1 });
  });
});

const size = { width: 760, height: 22, palette: PALETTES.light };
const { good, bad, faint, ink } = PALETTES.light;
const labelsOf = (axis: IntervalAxis, width = 760) =>
  readSvg(drawAxisLabels(axis, { ...size, width }).toString()).filter(({ tag }) => tag === "text");

describe("drawAxisLabels", () => {
  it("places the ends of the axis 24 pixels from the sides, and the value in the middle in the middle", () => {
    const labels = labelsOf({ from: -0.2, to: 0.2 });
    expect(labels.map(({ text }) => text)).toEqual(["−20%", "−15%", "−10%", "−5%", "0", "+5%", "+10%", "+15%", "+20%"]);
    expect(labels.map(xOf)).toEqual([24, 113, 202, 291, 380, 469, 558, 647, 736]);
    expect(labels.every(({ attributes }) => attributes["text-anchor"] === "middle")).toBe(true);
  });

  it("writes all labels near the bottom in the faint colour, and only 0 in bold", () => {
    for (const label of labelsOf({ from: -0.01, to: 0.02 })) {
      expect(yOf(label)).toBe(size.height - 4);
      expect(label.attributes["fill"]).toBe(faint);
      expect(label.attributes["font-weight"]).toBe(label.text === "0" ? "600" : undefined);
    }
  });

  it("writes as many decimals as the tick has", () => {
    const labels = labelsOf({ from: 0, to: 0.02 }, 320).map(({ text }) => text);
    expect(labels).toEqual(["0", "+0.5%", "+1%", "+1.5%", "+2%"]);
  });

  it("has fewer labels in a narrow picture", () => {
    const countAt = (width: number) => labelsOf({ from: 0, to: 0.15 }, width).length;
    expect([280, 320, 760, 4000].map(countAt)).toEqual([4, 4, 16, 16]);
  });

  it("states the lift at its place, at round numbers and equal distances", () => {
    fc.assert(
      fc.property(axes, widths, (axis, width) => {
        const labels = labelsOf(axis, width);
        const lifts = labels.map(({ text }) => Number.parseFloat(text.replace("−", "-")) / 100);
        for (const [index, label] of labels.entries()) {
          const share = (xOf(label) - 24) / (width - 48);
          const lift = axis.from + share * (axis.to - axis.from);
          expect(Math.abs(lift - (lifts[index] ?? 0))).toBeLessThan(((axis.to - axis.from) / (width - 48)) * 0.06);
        }
        const [first = 0, second = 0] = lifts;
        expect((second - first).toExponential(9)).toMatch(/^[125]\.0+e/);
        expect(new Set(lifts).size).toBe(lifts.length);
        expect(lifts).toContain(0);
      }),
      { seed },
    );
  });

  it.each([
    ["a page", fc.constant(280), 11],
    ["a picture", widths, 12],
  ])("has 4 to 20 labels on %s, which never overlap", (_, widths, fontSize) => {
    fc.assert(
      fc.property(axes, widths, (axis, width) => {
        const labels = labelsOf(axis, width);
        expect(labels.length).toBeGreaterThanOrEqual(4);
        expect(labels.length).toBeLessThanOrEqual(20);
        const halfWidthOf = (text: string) => (text.length * 0.55 * fontSize) / 2;
        let end = 0;
        for (const label of labels) {
          expect(xOf(label) - halfWidthOf(label.text)).toBeGreaterThan(end);
          end = xOf(label) + halfWidthOf(label.text);
        }
        expect(end).toBeLessThan(width);
      }),
      { seed, numRuns: 1000 },
    );
  });
});

describe("drawInterval", () => {
  const axis = { from: -0.2, to: 0.2 };
  const draw = (interval: Interval | null, lift: number | null, verdict: Verdict = "winning") => {
    const shapes = readSvg(drawInterval(axis, { interval, lift, verdict }, size).toString());
    const paths = shapes.filter(({ tag }) => tag === "path");
    return {
      grid: paths[0],
      zero: paths[1],
      bar: paths.find(({ attributes }) => attributes["stroke-width"] === "4"),
      arrows: paths.filter(({ attributes }) => attributes["d"]?.endsWith("z")),
      lift: shapes.find(({ tag }) => tag === "circle"),
      shapes,
    };
  };

  it("draws a line over the full height at each label, and a stronger one at 0", () => {
    const { grid, zero } = draw([0.05, 0.15], 0.1);
    const labels = labelsOf(axis).filter(({ text }) => text !== "0");
    expect(grid?.points).toEqual(
      labels.flatMap((label) => [
        [xOf(label), 0],
        [xOf(label), size.height],
      ]),
    );
    expect(grid?.attributes).toMatchObject({ stroke: faint, "stroke-opacity": ".25" });
    expect(zero?.points).toEqual([
      [380, 0],
      [380, size.height],
    ]);
    expect(zero?.attributes).toMatchObject({ stroke: faint });
    expect(zero?.attributes).not.toHaveProperty("stroke-opacity");
  });

  it("draws the interval as a bar at half the height, with a dot at the lift", () => {
    const { bar, lift, arrows } = draw([-0.05, 0.15], 0.1);
    expect(bar?.points).toEqual([
      [291, 11],
      [647, 11],
    ]);
    expect(lift?.points).toEqual([[558, 11]]);
    expect(arrows).toEqual([]);
  });

  it.each([
    ["the lower end", [-0.3, 0.1], [24], [-1]],
    ["the upper end", [-0.1, 0.3], [736], [1]],
    ["both ends", [-0.3, 0.3], [24, 736], [-1, 1]],
  ] as [string, Interval, number[], number[]][])(
    "turns %s beyond the axis into an arrow",
    (_, interval, ends, sides) => {
      const { arrows, bar } = draw(interval, 0);
      expect(bar?.points.map(([x]) => x)).toEqual(expect.arrayContaining(ends));
      expect(arrows.map(({ points }) => points)).toEqual(
        ends.map((end, index) => [
          [end, 5],
          [end + 9 * (sides[index] ?? 0), 11],
          [end, 17],
        ]),
      );
      expect(arrows.every(({ attributes }) => attributes["fill"] === good)).toBe(true);
    },
  );

  it("draws no arrow where the interval ends with the axis", () => {
    expect(draw([-0.2, 0.2], 0).arrows).toEqual([]);
  });

  it.each([
    [-0.21, null],
    [-0.2, 24],
    [0, 380],
    [0.2, 736],
    [0.21, null],
  ])("draws the dot of the lift %d at %j: none beyond the axis", (lift, x) => {
    expect(draw([-0.5, 0.5], lift).lift?.points[0]?.[0] ?? null).toBe(x);
  });

  it.each([
    [null, null],
    [0.1, null],
    [null, [0, 0.1]],
  ] as [number | null, Interval | null][])(
    "draws only the lines of the axis for lift %j and interval %j",
    (lift, interval) => {
      const { shapes, grid, zero } = draw(interval, lift);
      expect(shapes.filter(({ tag }) => tag !== "g")).toEqual([grid, zero]);
    },
  );

  const colors = { winning: good, losing: bad, harmed: bad, inconclusive: ink, unharmed: ink, collecting: faint };

  it.each(verdicts)("draws what is %s in its colour, and dashed only while collecting", (verdict) => {
    const { bar, lift } = draw([0.05, 0.15], 0.1, verdict);
    expect(bar?.attributes["stroke"]).toBe(colors[verdict]);
    expect(lift?.attributes["fill"]).toBe(colors[verdict]);
    expect(bar?.attributes["stroke-dasharray"]).toBe(verdict === "collecting" ? "3 3" : undefined);
  });
});
