import { expect, it } from "vitest";
import type { Exposures } from "../../src/panel/parse-exposures.ts";
import { drawSparkline } from "../../src/panel/sparkline.ts";

const SIZE = { width: 96, height: 24 };

/** Draws cumulative identities by variant, one number per bucket, and returns the SVG and its points. */
function draw(...cumulative: number[][]) {
  const variants = cumulative.map((series, index) => ({ key: `v${index}`, total: 0, added: [], cumulative: series }));
  const buckets = (cumulative[0] ?? []).map((_, index) => index);
  const health: Exposures["health"] = { status: "healthy", checks: [] };
  const exposures: Exposures = { total: 0, excluded: 0, granularity: "day", buckets, variants, health };
  const svg = drawSparkline(exposures).toString();
  const [, path = ""] = /<path d="M([^"]*)"/.exec(svg) ?? [];
  return { svg, points: path.split("L").map((point) => point.split(",").map(Number)) };
}

it("draws the sum of all variants from edge to edge, the largest at the top", () => {
  const { points } = draw([0, 5, 10], [0, 5, 30]);
  expect(points).toEqual([
    [1, SIZE.height - 2],
    [SIZE.width / 2, SIZE.height - 2 - (20 * 10) / 40],
    [SIZE.width - 1, 2],
  ]);
});

it("draws no growth as a line at the bottom, and one bucket as a point", () => {
  expect(draw([0, 0]).points).toEqual([
    [1, SIZE.height - 2],
    [SIZE.width - 1, SIZE.height - 2],
  ]);
  expect(draw([7]).points).toEqual([[1, 2]]);
});

it("takes at most 48 points, of which the last is the latest", () => {
  const { points } = draw(Array.from({ length: 1000 }, (_, index) => index));
  expect(points).toHaveLength(48);
  expect(points.at(-1)).toEqual([SIZE.width - 1, 2]);
});

it("is hidden from screen readers, and nothing without a bucket", () => {
  expect(draw([1, 2]).svg).toMatch(/^<svg class="spark" viewBox="0 0 96 24" [^>]*aria-hidden="true">/);
  expect(draw([]).svg).toBe("");
});
