import { describe, expect, it } from "vitest";
import { drawChart, MAX_LINES } from "../../src/panel/chart.ts";
import { PALETTES } from "../../src/panel/palettes.ts";
import { chartOptions, drawnChart, exposuresOf, HOUR, heading, START } from "../support/drawn-chart.ts";
import { textOf, yOf } from "../support/svg.ts";

describe("the description of drawChart", () => {
  const exposures = exposuresOf({ control: [1000, 200], "<b>": [1, 0] });

  it("states the name and the numbers", () => {
    const { label } = drawnChart(exposures, { heading });
    expect(label).toBe("Checkout: 1,201 identities (control 1,200, <b> 1), 1 excluded");
  });

  it("states what the chart is about where the page has the name", () => {
    expect(drawnChart(exposures).label).toBe(
      "Exposures over time: 1,201 identities (control 1,200, <b> 1), 1 excluded",
    );
  });

  it("isolates names from the direction of the text around them", () => {
    const svg = drawChart(exposures, { ...chartOptions, heading }).toString();
    expect(svg).toMatch(/aria-label="\u2068Checkout\u2069: .*\(\u2068control\u2069 1,200, /);
  });

  it("names only the variants that have a line", () => {
    const keys = Array.from({ length: MAX_LINES + 1 }, (_, index) => [`v${index}`, [1]]);
    const { label } = drawnChart(exposuresOf(Object.fromEntries(keys)));
    expect(label).toContain("v11 1), 1 excluded");
  });
});

describe("the heading of drawChart", () => {
  const exposures = exposuresOf({ control: [1, 2], b: [2, 3] });

  it("is the name in bold, then the time of the numbers, then the legend, above the plot", () => {
    const { shapes, grid } = drawnChart(exposures, { heading });
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
    expect(drawnChart(exposures, { heading: { name: "x", asOf: null } }).shapes.map(textOf)).toContain(
      "N/A: not computed yet",
    );
  });

  it("comes with a ground under the whole picture", () => {
    const { width, height, palette } = chartOptions;
    expect(drawnChart(exposures, { heading }).shapes[1]).toMatchObject({
      tag: "rect",
      attributes: { width: `${width}`, height: `${height}`, fill: palette.ground },
    });
  });

  it("is not on a page, where the plot begins at the top", () => {
    const { shapes, grid } = drawnChart(exposures);
    expect(shapes.filter(({ tag }) => tag === "rect")).toEqual([]);
    expect(grid.map(yOf).at(-1)).toBe(12);
  });

  it("names as many variants as leave 40 pixels to the plot", () => {
    const many = exposuresOf(Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`v${index}`, [1, 2]])));
    for (let height = 190; height < 500; height += 7) {
      const { grid, shapes } = drawnChart(many, { height, heading });
      const plot = height - 28 - (grid.map(yOf).at(-1) ?? 0);
      expect(plot).toBeGreaterThanOrEqual(40);
      if (shapes.some(({ text }) => text.endsWith(" more"))) expect(plot).toBeLessThan(60);
    }
  });
});

describe("the mark of changed weights", () => {
  const markOf = (added: number[], splitChangedAt: number, height = 400) => {
    const { shapes } = drawnChart(exposuresOf({ control: added }), { splitChangedAt, height });
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
    const { shapes, label } = drawnChart(exposuresOf({ control: [1, 2] }));
    expect(shapes.filter(({ tag, text }) => tag === "title" || text.includes("weights"))).toEqual([]);
    expect(label).not.toContain("weights");
  });
});

// `npx vitest run --config test/vitest.config.ts --project unit test/panel -u` writes the pictures anew. Look at each.
it.each(["light", "dark"] as const)("draws the committed picture in %s colours", async (theme) => {
  const growth = (rate: number) =>
    Array.from({ length: 60 }, (_, hour) => Math.round(rate * (12 + 8 * Math.sin(hour / 4))));
  const exposures = exposuresOf({ control: growth(5), "Bigger button": growth(4.7), "No <b>form</b>": growth(2) });
  const changes = { palette: PALETTES[theme], heading, splitChangedAt: START + 30 * HOUR };
  const svg = drawChart(exposures, { ...chartOptions, ...changes }).toString();
  await expect(svg).toMatchFileSnapshot(`pictures/exposures-${theme}.svg`);
});
