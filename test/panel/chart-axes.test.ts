import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PALETTES } from "../../src/panel/palettes.ts";
import { DAY, drawnChart, exposuresOf, HOUR } from "../support/drawn-chart.ts";
import { textOf, xOf, yOf } from "../support/svg.ts";

const seed = Number(process.env["SEED"] ?? 7);

describe("the axes of drawChart", () => {
  const counts = exposuresOf({ control: [0, 400, 1100] });

  it("label whole numbers at equal distances, from 0 at the bottom to the top", () => {
    const { values, grid } = drawnChart(counts);
    expect(values.map(textOf)).toEqual(["0", "500", "1K", "1.5K", "2K"]);
    expect(grid.map(({ points }) => points)).toEqual(
      [372, 282, 192, 102, 12].map((y) => [
        [52, y],
        [740, y],
      ]),
    );
  });

  it("write each value left of its line", () => {
    const { values, grid } = drawnChart(counts);
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
    expect(drawnChart(exposuresOf({ control: added })).values.map(textOf)).toEqual(labels);
  });

  it("write the hour, and the date at midnight, of hours", () => {
    const { times } = drawnChart(exposuresOf({ control: Array(41).fill(1) }));
    expect(times.map(textOf)).toEqual(["Jun 1", "06:00", "12:00", "18:00", "Jun 2", "06:00", "12:00"]);
    expect(times.map(xOf)).toEqual([52, 155.2, 258.4, 361.6, 464.8, 568, 671.2]);
  });

  it("write each date once where there are few days", () => {
    const { times } = drawnChart(exposuresOf({ control: Array(5).fill(1) }, DAY));
    expect(times.map(textOf)).toEqual(["Jun 1", "Jun 2", "Jun 3", "Jun 4", "Jun 5"]);
    expect(times.map(xOf)).toEqual([52, 224, 396, 568, 740]);
  });

  it("end the last date at its mark, so that a long one is not cut, and centre the others", () => {
    const anchors = (days: number) =>
      drawnChart(exposuresOf({ control: Array(days).fill(1) }, DAY)).times.map(
        ({ attributes }) => attributes["text-anchor"],
      );
    expect(anchors(3)).toEqual(["middle", "middle", "end"]);
    // The last day has no label.
    expect(anchors(30)).not.toContain("end");
  });

  it("write the year at its start", () => {
    const times = (days: number) => drawnChart(exposuresOf({ control: Array(days).fill(1) }, DAY)).times.map(textOf);
    expect(times(800)).toEqual(["Jul 1", "Oct 1", "2027", "Apr 1", "Jul 1", "Oct 1", "2028", "Apr 1", "Jul 1"]);
    expect(times(216)).toEqual(["Jun 1", "Jul 1", "Aug 1", "Sep 1", "Oct 1", "Nov 1", "Dec 1", "2027"]);
  });

  it("write a time only where a bucket starts", () => {
    expect(drawnChart(exposuresOf({ control: [1, 1, 1] })).times.map(textOf)).toEqual(["Jun 1", "01:00", "02:00"]);
    expect(drawnChart(exposuresOf({ control: [1] })).times.map(textOf)).toEqual(["Jun 1"]);
    expect(drawnChart(exposuresOf({})).times).toEqual([]);
  });

  it("write each time below its mark, and draw a line from side to side", () => {
    const { times, timeMarks, shapes } = drawnChart(exposuresOf({ control: Array(41).fill(1) }));
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
        fc.integer({ min: 2, max: 1200 }),
        step,
        (width, length, step) => {
          const hours = step === HOUR ? Math.min(length, 73) : length;
          const { times } = drawnChart(exposuresOf({ control: Array(hours).fill(1) }, step), { width });
          expect(times.length).toBeGreaterThan(0);
          expect(times.length).toBeLessThanOrEqual(Math.max(4, width / 55));
          let end = 0;
          for (const time of times) {
            const length = textOf(time).length * 6.6;
            const begin = xOf(time) - (time.attributes["text-anchor"] === "end" ? length : length / 2);
            expect(begin).toBeGreaterThan(end);
            end = begin + length;
          }
          expect(end).toBeLessThanOrEqual(width);
          // A date is written once between two years.
          const texts = times.map(textOf);
          const dates = texts.map((text, index) => [
            text,
            texts.slice(0, index).findLast((text) => /^\d{4}$/.test(text)),
          ]);
          const written = dates.map(String).filter((text) => !text.includes(":"));
          expect(new Set(written).size).toBe(written.length);
        },
      ),
      { seed },
    );
  });

  it.each([
    [340, ["Jun 1", "Jun 2", "Jun 3"]],
    [760, ["Jun 1", "12:00", "Jun 2", "12:00", "Jun 3", "12:00"]],
  ])("have a label for about every 110 pixels: at %i pixels %j", (width, labels) => {
    expect(drawnChart(exposuresOf({ control: Array(72).fill(1) }), { width }).times.map(textOf)).toEqual(labels);
  });
});
