import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatUtc } from "../../src/format.ts";
import { drawChart, MAX_LINES } from "../../src/panel/chart.ts";
import { safeText } from "../../src/panel/markup.ts";
import { PALETTES } from "../../src/panel/palettes.ts";
import type { Exposures } from "../../src/panel/parse-exposures.ts";
import { seriesNames } from "../../src/panel/series.ts";
import { drawSparkline } from "../../src/panel/sparkline.ts";
import { HOSTILE_NAMES } from "../support/hostile-names.ts";
import { readSvg, type Shape, xOf, yOf } from "../support/svg.ts";
import { problemOfXml } from "../support/xml.ts";

const seed = Number(process.env["SEED"] ?? 7);
const START = Date.UTC(2026, 5, 1);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const options = {
  width: 760,
  height: 400,
  series: "cumulative",
  palette: PALETTES.light,
  maxPoints: null,
  splitChangedAt: null,
} as const;
const heading = { name: "Checkout", asOf: START };

function exposuresOf(series: Record<string, number[]>, step = HOUR): Exposures {
  const variants = Object.entries(series).map(([key, added]) => {
    let sum = 0;
    const cumulative = added.map((count) => (sum += count));
    return { key, added, cumulative, total: sum };
  });
  const length = variants[0]?.added.length ?? 0;
  return {
    total: variants.reduce((sum, { total }) => sum + total, 0),
    ...{ excluded: 1, granularity: step === HOUR ? "hour" : "day", health: { status: "healthy", checks: [] } },
    buckets: Array.from({ length }, (_, index) => START + index * step),
    variants,
  };
}

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
      keys: fc.uniqueArray(fc.oneof(fc.constantFrom(...HOSTILE_NAMES), fc.string({ unit: "binary" })), {
        maxLength: 20,
      }),
      pool: fc.array(counts, { minLength: 1, maxLength: 10 }),
      width: fc.integer({ min: 200, max: 4000 }),
      height: fc.integer({ min: 150, max: 3000 }),
      series: fc.constantFrom(...seriesNames),
      maxPoints: fc.constantFrom(null, 1, 100),
      name: fc.oneof(fc.constant(null), fc.constantFrom(...HOSTILE_NAMES), fc.string({ unit: "binary" })),
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
          ...options,
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
      ...options,
      heading: null,
    }).toString();
    const [b = [], control = []] = linesOf(svg);
    expect(control.map(([x]) => x)).toEqual([52, 396, 740]);
    expect(control.map(([, y]) => y)).toEqual([192, 192, 12]);
    for (const [index, [, y = 0]] of b.entries()) expect(y).toBeGreaterThan(control[index]?.[1] ?? 0);
  });

  it("shows new identities per bucket for the series new", () => {
    const exposures = exposuresOf({ control: [10, 0, 10] });
    const [line = []] = linesOf(drawChart(exposures, { ...options, series: "new", heading: null }).toString());
    expect(line.map(([, y]) => y)).toEqual([12, 372, 12]);
  });

  it.each([150, 200, 400])("keeps zero at the bottom at a height of %i, with many variants", (height) => {
    const exposures = exposuresOf(
      Object.fromEntries(Array.from({ length: 14 }, (_, index) => [`v${index}`, [0, index + 1]])),
    );
    const svg = drawChart(exposures, { ...options, height, heading }).toString();
    for (const [[, first = 0] = [], [, last = 0] = []] of linesOf(svg)) expect(last).toBeLessThan(first);
    expect(svg).toMatch(/\d+ (more|variants)</);
  });

  it("limits the lines of 1,000 variants and counts the others in the legend", () => {
    const exposures = exposuresOf(
      Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`v${index}`, [1, 2, 3]])),
    );
    const svg = drawChart(exposures, { ...options, height: 800, heading }).toString();
    expect(linesOf(svg)).toHaveLength(MAX_LINES);
    const named = [...svg.matchAll(/⁩ \(\d/g)].length - 1;
    expect(svg).toContain(`and ${1000 - named} more`);
    expect(svg.length).toBeLessThan(20_000);
  });

  it("shows the experiment's name, and says if nothing was computed yet", () => {
    const exposures = exposuresOf({ control: [1] });
    expect(drawChart(exposures, { ...options, heading }).toString()).toContain("⁨Checkout⁩");
    expect(drawChart(exposures, { ...options, heading: { name: "x", asOf: null } }).toString()).toContain(
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
      const svg = drawChart(exposures, { ...options, palette, splitChangedAt, heading }).toString();
      const text = `weights changed ${formatUtc(splitChangedAt)}`;
      expect(svg).toMatch(new RegExp(`aria-label="[^"]*, ${text}"`));
      expect(svg).toContain(`<title>${text}</title><path d="M${x},`);
      expect(svg).toContain(`text-anchor="${anchor}" stroke="${palette.ground}"`);
    }
  });
});

/** The parts of a picture, in pixels from its top left corner. */
function drawn(exposures: Exposures, changes: Partial<Parameters<typeof drawChart>[1]> = {}) {
  const shapes = readSvg(drawChart(exposures, { ...options, heading: null, ...changes }).toString());
  const having = (tag: string, name: string, value: string) =>
    shapes.filter((shape) => shape.tag === tag && shape.attributes[name] === value);
  const { ground } = options.palette;
  return {
    shapes,
    label: shapes[0]?.attributes["aria-label"],
    /** The lines of values, the largest value last, and their labels. */
    grid: having("path", "stroke-opacity", "0.25"),
    values: having("text", "text-anchor", "end").filter(({ attributes }) => attributes["stroke"] !== ground),
    /** The labels of times, and the mark above each. */
    times: having("text", "text-anchor", "middle"),
    timeMarks: shapes.filter(({ attributes }) => attributes["d"]?.endsWith("v4")),
    /** The lines of variants, the control last. */
    lines: shapes.filter(({ tag, attributes }) => tag === "path" && attributes["stroke-linejoin"] === "round"),
  };
}
const textOf = ({ text }: Shape) => text;

describe("the axes of drawChart", () => {
  const counts = exposuresOf({ control: [0, 400, 1100] });

  it("label whole numbers at equal distances, from 0 at the bottom to the top", () => {
    const { values, grid } = drawn(counts);
    expect(values.map(textOf)).toEqual(["0", "500", "1K", "1.5K", "2K"]);
    expect(grid.map(({ points }) => points)).toEqual(
      [372, 282, 192, 102, 12].map((y) => [
        [52, y],
        [740, y],
      ]),
    );
  });

  it("write each value left of its line", () => {
    const { values, grid } = drawn(counts);
    expect(values.map(({ points }) => points)).toEqual(grid.map((line) => [[44, yOf(line) + 4]]));
    expect([...values, ...grid].map(({ attributes }) => attributes["fill"] ?? attributes["stroke"])).toEqual(
      Array(10).fill(PALETTES.light.faint),
    );
  });

  it.each([
    [[0], ["0", "1"]],
    [[2], ["0", "1", "2"]],
    [[3e6], ["0", "500K", "1M", "1.5M", "2M", "2.5M", "3M"]],
  ])("label no fraction of an identity: %j has %j", (added, labels) => {
    expect(drawn(exposuresOf({ control: added })).values.map(textOf)).toEqual(labels);
  });

  it("write the hour, and the date at midnight, of hours", () => {
    const { times } = drawn(exposuresOf({ control: Array(41).fill(1) }));
    expect(times.map(textOf)).toEqual(["Jun 1", "06:00", "12:00", "18:00", "Jun 2", "06:00", "12:00"]);
    expect(times.map(xOf)).toEqual([52, 155.2, 258.4, 361.6, 464.8, 568, 671.2]);
  });

  it("write each date once where there are few days", () => {
    const { times } = drawn(exposuresOf({ control: Array(5).fill(1) }, DAY));
    expect(times.map(textOf)).toEqual(["Jun 1", "Jun 2", "Jun 3", "Jun 4", "Jun 5"]);
    expect(times.map(xOf)).toEqual([52, 224, 396, 568, 740]);
  });

  it("write a time only where a bucket starts", () => {
    expect(drawn(exposuresOf({ control: [1, 1, 1] })).times.map(textOf)).toEqual(["Jun 1", "01:00", "02:00"]);
    expect(drawn(exposuresOf({ control: [1] })).times.map(textOf)).toEqual(["Jun 1"]);
    expect(drawn(exposuresOf({})).times).toEqual([]);
  });

  it("write each time below its mark, and draw a line from side to side", () => {
    const { times, timeMarks, shapes } = drawn(exposuresOf({ control: Array(41).fill(1) }));
    expect(timeMarks.map(({ points }) => points)).toEqual(
      times.map((time) => [
        [xOf(time), 372],
        [xOf(time), 376],
      ]),
    );
    expect(times.map(yOf)).toEqual(times.map(() => 372 + 18));
    expect(times.map(({ attributes }) => attributes["fill"])).toEqual(times.map(() => PALETTES.light.faint));
    const bottom = shapes.find(({ attributes }) => attributes["d"] === "M52,372H740");
    expect(bottom?.attributes["stroke"]).toBe(PALETTES.light.faint);
  });

  it("have labels that neither overlap nor repeat, at any width", () => {
    const step = fc.constantFrom(HOUR, DAY);
    fc.assert(
      fc.property(
        fc.integer({ min: 240, max: 4000 }),
        fc.integer({ min: 2, max: 360 }),
        step,
        (width, length, step) => {
          const hours = step === HOUR ? Math.min(length, 73) : length;
          const { times } = drawn(exposuresOf({ control: Array(hours).fill(1) }, step), { width });
          expect(times.length).toBeGreaterThan(0);
          expect(times.length).toBeLessThanOrEqual(Math.max(4, width / 55));
          let end = 0;
          for (const time of times) {
            expect(xOf(time) - textOf(time).length * 3.3).toBeGreaterThan(end);
            end = xOf(time) + textOf(time).length * 3.3;
          }
          expect(end).toBeLessThanOrEqual(width);
          const dates = times.map(textOf).filter((text) => !text.includes(":"));
          expect(new Set(dates).size).toBe(dates.length);
        },
      ),
      { seed },
    );
  });

  it.each([
    [340, ["Jun 1", "Jun 2", "Jun 3"]],
    [760, ["Jun 1", "12:00", "Jun 2", "12:00", "Jun 3", "12:00"]],
  ])("have a label for about every 110 pixels: at %i pixels %j", (width, labels) => {
    expect(drawn(exposuresOf({ control: Array(72).fill(1) }), { width }).times.map(textOf)).toEqual(labels);
  });
});

describe("the lines of drawChart", () => {
  it("go through the value of each bucket, in proportion to time and to the largest value", () => {
    const added = [3, 1, 4, 1, 5];
    const { lines } = drawn(exposuresOf({ control: added }), { series: "new", width: 472, height: 140 });
    expect(lines.map(({ points }) => points)).toEqual([
      added.map((count, index) => [52 + index * 100, 112 - 20 * count]),
    ]);
  });

  it("have the colours of their variants, the control's first and drawn last", () => {
    const { lines } = drawn(exposuresOf({ control: [1, 2], b: [1, 3], c: [1, 4] }));
    expect(lines.map(({ attributes }) => attributes["stroke"])).toEqual(PALETTES.light.lines.slice(0, 3).reverse());
  });

  it("are a dot for a single bucket", () => {
    const [line, ...others] = drawn(exposuresOf({ control: [1] })).lines;
    expect(others).toEqual([]);
    expect(line?.points).toEqual([
      [52, 12],
      [52, 12],
    ]);
    expect(line?.attributes["stroke-linecap"]).toBe("round");
    expect(drawn(exposuresOf({ control: [1, 2] })).lines[0]?.attributes).not.toHaveProperty("stroke-linecap");
  });

  it.each([
    [1, 100],
    [2, 50],
    [4, 25],
  ])("share the points that a picture may have: %i lines have %i each", (lines, points) => {
    const series = Object.fromEntries(Array.from({ length: lines }, (_, index) => [`v${index}`, Array(200).fill(1)]));
    const picture = drawn(exposuresOf(series), { maxPoints: 100 });
    expect(picture.lines.map((line) => line.points.length)).toEqual(Array(lines).fill(points));
    expect(drawn(exposuresOf(series)).lines.map((line) => line.points.length)).toEqual(Array(lines).fill(200));
  });
});

describe("the description of drawChart", () => {
  const exposures = exposuresOf({ control: [1000, 200], "<b>": [1, 0] });

  it("states the name and the numbers", () => {
    const { label } = drawn(exposures, { heading });
    expect(label).toBe("Checkout: 1,201 identities (control 1,200, <b> 1), 1 excluded");
  });

  it("states what the chart is about where the page has the name", () => {
    expect(drawn(exposures).label).toBe("Exposures over time: 1,201 identities (control 1,200, <b> 1), 1 excluded");
  });

  it("isolates names from the direction of the text around them", () => {
    const svg = drawChart(exposures, { ...options, heading }).toString();
    expect(svg).toMatch(/aria-label="\u2068Checkout\u2069: .*\(\u2068control\u2069 1,200, /);
  });

  it("names only the variants that have a line", () => {
    const keys = Array.from({ length: MAX_LINES + 1 }, (_, index) => [`v${index}`, [1]]);
    const { label } = drawn(exposuresOf(Object.fromEntries(keys)));
    expect(label).toContain("v11 1), 1 excluded");
  });
});

describe("the heading of drawChart", () => {
  const exposures = exposuresOf({ control: [1, 2], b: [2, 3] });

  it("is the name in bold, then the time of the numbers, then the legend, above the plot", () => {
    const { shapes, grid } = drawn(exposures, { heading });
    const texts = shapes.filter(({ tag, attributes }) => tag === "text" && !("text-anchor" in attributes));
    expect(texts.map(textOf)).toEqual([
      "Checkout",
      "as of 2026-06-01 00:00 UTC",
      "control (3 - 33%)",
      "b (5 - 56%)",
      "$multiple (1 - 11%)",
    ]);
    expect(texts[0]?.attributes).toMatchObject({ "font-weight": "600" });
    const baselines = texts.map(yOf);
    for (const [index, baseline] of baselines.slice(1).entries()) {
      expect(baseline - (baselines[index] ?? 0)).toBeGreaterThanOrEqual(16);
    }
    const top = grid.map(yOf).at(-1) ?? 0;
    expect(baselines[0]).toBeGreaterThanOrEqual(14);
    expect(top).toBeGreaterThan(baselines.at(-1) ?? 0);
    expect(top).toBeLessThan((baselines.at(-1) ?? 0) + 20);
  });

  it("says so if there are no numbers yet", () => {
    expect(drawn(exposures, { heading: { name: "x", asOf: null } }).shapes.map(textOf)).toContain(
      "N/A: not computed yet",
    );
  });

  it("comes with a ground under the whole picture", () => {
    const { width, height, palette } = options;
    expect(drawn(exposures, { heading }).shapes[1]).toMatchObject({
      tag: "rect",
      attributes: { width: `${width}`, height: `${height}`, fill: palette.ground },
    });
  });

  it("is not on a page, where the plot begins at the top", () => {
    const { shapes, grid } = drawn(exposures);
    expect(shapes.filter(({ tag }) => tag === "rect")).toEqual([]);
    expect(grid.map(yOf).at(-1)).toBe(12);
  });

  it("names as many variants as leave 40 pixels to the plot", () => {
    const many = exposuresOf(Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`v${index}`, [1, 2]])));
    for (let height = 190; height < 500; height += 7) {
      const { grid, shapes } = drawn(many, { height, heading });
      const plot = height - 28 - (grid.map(yOf).at(-1) ?? 0);
      expect(plot).toBeGreaterThanOrEqual(40);
      if (shapes.some(({ text }) => text.endsWith(" more"))) expect(plot).toBeLessThan(60);
    }
  });
});

describe("the mark of changed weights", () => {
  const markOf = (added: number[], splitChangedAt: number, height = 400) => {
    const { shapes } = drawn(exposuresOf({ control: added }), { splitChangedAt, height });
    return {
      line: shapes.find(({ attributes }) => attributes["stroke-dasharray"] === "4 3"),
      text: shapes.find(({ text }) => text === "weights changed"),
    };
  };

  it.each([
    [0.5 * HOUR, 224, 4],
    [1.5 * HOUR, 568, -4],
  ])("is a line over the height of the plot, with a text on the side that has room", (after, x, side) => {
    const { line, text } = markOf([1, 2, 3], START + after);
    expect(line?.points).toEqual([
      [x, 12],
      [x, 372],
    ]);
    expect(text?.points).toEqual([[x + side, 22]]);
  });

  it("is at the start of a single bucket, or at its end", () => {
    expect(markOf([1], START).line?.points[0]).toEqual([52, 12]);
    expect(markOf([1], START + 1).line?.points[0]).toEqual([740, 12]);
  });

  it("is neither drawn nor described without a change", () => {
    const { shapes, label } = drawn(exposuresOf({ control: [1, 2] }));
    expect(shapes.filter(({ tag, text }) => tag === "title" || text.includes("weights"))).toEqual([]);
    expect(label).not.toContain("weights");
  });
});

// `npx vitest run --config test/vitest.config.ts --project unit test/panel-pure -u` writes the pictures anew. Look at each.
it.each(["light", "dark"] as const)("draws the committed picture in %s colours", async (theme) => {
  const growth = (rate: number) =>
    Array.from({ length: 60 }, (_, hour) => Math.round(rate * (12 + 8 * Math.sin(hour / 4))));
  const exposures = exposuresOf({ control: growth(5), "Bigger button": growth(4.7), "No <b>form</b>": growth(2) });
  const changes = { palette: PALETTES[theme], heading, splitChangedAt: START + 30 * HOUR };
  const svg = drawChart(exposures, { ...options, ...changes }).toString();
  await expect(svg).toMatchFileSnapshot(`pictures/exposures-${theme}.svg`);
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
