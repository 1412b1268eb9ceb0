import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatUtc } from "../../src/format.ts";
import { drawChart, MAX_LINES } from "../../src/panel/chart.ts";
import { safeText } from "../../src/panel/markup.ts";
import { PALETTES } from "../../src/panel/palettes.ts";
import { seriesNames } from "../../src/panel/series.ts";
import { drawSparkline } from "../../src/panel/sparkline.ts";
import { anyCharacter } from "../support/arbitrary.ts";
import { chartOptions, drawnChart, exposuresOf, HOUR, heading, START } from "../support/drawn-chart.ts";
import { HOSTILE_NAMES } from "../support/hostile-names.ts";
import { problemOfXml } from "../support/xml.ts";

const seed = Number(process.env["SEED"] ?? 7);

/** The points of each line. The control comes last. */
const linesOf = (svg: string) =>
  [...svg.matchAll(/<path d="M([\d.,L-]+)(?:h0)?" fill="none"/g)].map(([, path = ""]) =>
    path.split("L").map((point) => point.split(",").map(Number)),
  );

describe("drawChart", () => {
  it("returns well-formed SVG without NaN or undefined, for any input", () => {
    const counts = fc.oneof(fc.nat({ max: 20 }), fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER / 1000));
    const chart = fc.record({
      buckets: fc.oneof(fc.constantFrom(0, 1, 2), fc.nat({ max: 400 })),
      keys: fc.uniqueArray(fc.oneof(fc.constantFrom(...HOSTILE_NAMES), fc.string({ unit: anyCharacter })), {
        maxLength: 20,
      }),
      pool: fc.array(counts, { minLength: 1, maxLength: 10 }),
      width: fc.integer({ min: 200, max: 4000 }),
      height: fc.integer({ min: 150, max: 3000 }),
      series: fc.constantFrom(...seriesNames),
      maxPoints: fc.constantFrom(null, 1, 100),
      name: fc.oneof(fc.constant(null), fc.constantFrom(...HOSTILE_NAMES), fc.string({ unit: anyCharacter })),
      asOf: fc.constantFrom(null, START),
      splitChangedAt: fc.option(fc.integer({ min: START, max: START + 400 * HOUR })),
      step: fc.constantFrom(HOUR, 24 * HOUR),
    });
    fc.assert(
      fc.property(chart, ({ buckets, keys, pool, name, asOf, step, ...size }) => {
        const added = (column: number) =>
          Array.from({ length: buckets }, (_, row) => pool[(row + column) % pool.length] ?? 0);
        const exposures = exposuresOf({}, step);
        const variants = keys.map((key, column) => {
          let sum = 0;
          const cumulative = added(column).map((count) => (sum += count));
          return { key, total: sum, added: added(column), cumulative };
        });
        const filled = {
          ...exposures,
          variants,
          buckets: Array.from({ length: buckets }, (_, row) => START + row * step),
        };
        const svg = drawChart(filled, {
          ...chartOptions,
          ...size,
          heading: name === null ? null : { name, asOf },
        }).toString();
        expect(problemOfXml(svg)).toBeNull();
        const own = svg.replaceAll(/⁨[^⁩]*⁩/g, "");
        expect(own).not.toMatch(/NaN|undefined|Infinity|null|\[object/);
        expect(own).not.toMatch(/ d="M?"/);
        const isInside = ([x = -1, y = -1]: number[]) => x >= 0 && x <= size.width && y >= 0 && y <= size.height;
        expect(
          linesOf(svg)
            .flat()
            .filter((point) => !isInside(point)),
        ).toEqual([]);
        expect(problemOfXml(`<p>${drawSparkline(filled)}</p>`)).toBeNull();
        expect(drawSparkline(filled).toString()).not.toMatch(/NaN|undefined|Infinity| d="M?"/);
      }),
      { seed, numRuns: 300 },
    );
  });

  it("places larger values higher and later ones further right, with the control last", () => {
    const svg = drawChart(exposuresOf({ control: [10, 0, 10], b: [1, 1, 1] }), {
      ...chartOptions,
      heading: null,
    }).toString();
    const [b = [], control = []] = linesOf(svg);
    expect(control.map(([x]) => x)).toEqual([52, 396, 740]);
    expect(control.map(([, y]) => y)).toEqual([192, 192, 12]);
    for (const [index, [, y = 0]] of b.entries()) expect(y).toBeGreaterThan(control[index]?.[1] ?? 0);
  });

  it("shows new identities per bucket for the series new", () => {
    const exposures = exposuresOf({ control: [10, 0, 10] });
    const [line = []] = linesOf(drawChart(exposures, { ...chartOptions, series: "new", heading: null }).toString());
    expect(line.map(([, y]) => y)).toEqual([12, 372, 12]);
  });

  it.each([150, 200, 400])("keeps zero at the bottom at a height of %i, with many variants", (height) => {
    const exposures = exposuresOf(
      Object.fromEntries(Array.from({ length: 14 }, (_, index) => [`v${index}`, [0, index + 1]])),
    );
    const svg = drawChart(exposures, { ...chartOptions, height, heading }).toString();
    for (const [[, first = 0] = [], [, last = 0] = []] of linesOf(svg)) expect(last).toBeLessThan(first);
    expect(svg).toMatch(/\d+ (more|variants)</);
  });

  it("limits the lines of 1,000 variants and counts the others in the legend", () => {
    const exposures = exposuresOf(
      Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`v${index}`, [1, 2, 3]])),
    );
    const svg = drawChart(exposures, { ...chartOptions, height: 800, heading }).toString();
    expect(linesOf(svg)).toHaveLength(MAX_LINES);
    const named = [...svg.matchAll(/⁩ \(\d/g)].length - 1;
    expect(svg).toContain(`and ${1000 - named} more`);
    expect(svg.length).toBeLessThan(20_000);
  });

  it("shows the experiment's name, and says if nothing was computed yet", () => {
    const exposures = exposuresOf({ control: [1] });
    expect(drawChart(exposures, { ...chartOptions, heading }).toString()).toContain("⁨Checkout⁩");
    expect(drawChart(exposures, { ...chartOptions, heading: { name: "x", asOf: null } }).toString()).toContain(
      "not computed yet",
    );
  });

  it.each([
    { splitChangedAt: START, x: 52, anchor: "start" },
    { splitChangedAt: START + 0.5 * HOUR, x: 224, anchor: "start" },
    { splitChangedAt: START + 1.5 * HOUR, x: 568, anchor: "end" },
    { splitChangedAt: START + 2.9 * HOUR, x: 740, anchor: "end" },
  ])("marks a change of the weights at $x pixels, and names it for screen readers", ({ splitChangedAt, x, anchor }) => {
    const exposures = exposuresOf({ control: [1, 2, 3] });
    for (const palette of Object.values(PALETTES)) {
      const svg = drawChart(exposures, { ...chartOptions, palette, splitChangedAt, heading }).toString();
      const text = `weights changed ${formatUtc(splitChangedAt)}`;
      expect(svg).toMatch(new RegExp(`aria-label="[^"]*, ${text}"`));
      expect(svg).toContain(`<title>${text}</title><path d="M${x},`);
      expect(svg).toContain(`text-anchor="${anchor}" stroke="${palette.ground}"`);
    }
  });
});

describe("the lines of drawChart", () => {
  it("go through the value of each bucket, in proportion to time and to the largest value", () => {
    const added = [3, 1, 4, 1, 5];
    const { lines } = drawnChart(exposuresOf({ control: added }), { series: "new", width: 472, height: 140 });
    expect(lines.map(({ points }) => points)).toEqual([
      added.map((count, index) => [52 + index * 100, 112 - 20 * count]),
    ]);
  });

  it("have the colours of their variants, the control's first and drawn last", () => {
    const { lines } = drawnChart(exposuresOf({ control: [1, 2], b: [1, 3], c: [1, 4] }));
    expect(lines.map(({ attributes }) => attributes["stroke"])).toEqual(PALETTES.light.lines.slice(0, 3).reverse());
  });

  it("are a dot for a single bucket", () => {
    const [line, ...others] = drawnChart(exposuresOf({ control: [1] })).lines;
    expect(others).toEqual([]);
    expect(line?.points).toEqual([
      [52, 12],
      [52, 12],
    ]);
    expect(line?.attributes["stroke-linecap"]).toBe("round");
    expect(drawnChart(exposuresOf({ control: [1, 2] })).lines[0]?.attributes).not.toHaveProperty("stroke-linecap");
  });

  it("are not there without buckets", () => {
    expect(drawnChart(exposuresOf({ control: [], b: [] })).lines).toEqual([]);
  });

  it.each([
    [1, 100],
    [2, 50],
    [4, 25],
  ])("share the points that a picture may have: %i lines have %i each", (lines, points) => {
    const series = Object.fromEntries(Array.from({ length: lines }, (_, index) => [`v${index}`, Array(200).fill(1)]));
    const picture = drawnChart(exposuresOf(series), { maxPoints: 100 });
    expect(picture.lines.map((line) => line.points.length)).toEqual(Array(lines).fill(points));
    expect(drawnChart(exposuresOf(series)).lines.map((line) => line.points.length)).toEqual(Array(lines).fill(200));
  });
});

describe("safeText", () => {
  it.each([
    ["\0\u0007\u001b", "\ufffd\ufffd\ufffd"],
    ["\u0085\u009f", "\ufffd\ufffd"],
    ["a\ud800b", "a\ufffdb"],
    ["a\nb\u2029c", "a b c"],
    ["a\u2069\u202eb", "a\ufffd\ufffdb"],
    ["مرحبا 🧪", "مرحبا 🧪"],
  ])("turns %j into %j, isolated from the direction of the text around it", (name, shown) => {
    expect(safeText(name)).toBe(`\u2068${shown}\u2069`);
  });
});
