import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { guessWeights } from "../../src/panel/guess-weights.ts";

const guess = (...counts: number[]) =>
  guessWeights(counts.map((identities, index) => ({ key: `${index}`, identities })));

describe("guessWeights", () => {
  it.each([
    { seen: [5012, 4988], weights: [50, 50] },
    { seen: [7, 3], weights: [50, 50] },
    { seen: [333, 340, 327], weights: [1, 1, 1] },
    { seen: [24_900, 25_100, 25_300, 24_700], weights: [25, 25, 25, 25] },
    { seen: [90_100, 9_900], weights: [90, 10] },
    { seen: [34_800, 65_200], weights: [35, 65] },
    { seen: [60_300, 19_800, 19_900], weights: [60, 20, 20] },
    { seen: [99_020, 980], weights: [99, 1] },
    { seen: [99_990, 10], weights: [100, 0.01] },
    { seen: [12], weights: [100] },
    { seen: [0, 0], weights: [50, 50] },
    { seen: [], weights: [] },
  ])("guesses $weights from $seen identities", ({ seen, weights }) => {
    expect(guess(...seen)).toEqual(weights);
  });

  it("finds a split in tenths from any large enough sample", () => {
    const split = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }).map((cuts) => {
      const edges = [0, ...cuts.toSorted((a, b) => a - b), 10];
      return edges.slice(1).map((edge, index) => 10 * (edge - (edges[index] ?? 0)));
    });
    fc.assert(
      fc.property(split, fc.double({ min: -1, max: 1, noNaN: true }), (weights, noise) => {
        const equal = weights.every((weight) => weight === weights[0]);
        // One standard error moves from the first variant to the last.
        const total = 100_000;
        const counts = weights.map((weight) => (weight / 100) * total);
        const moved = noise * Math.sqrt(total * 0.09);
        counts[0] = Math.round((counts[0] ?? 0) + moved);
        counts[counts.length - 1] = Math.round((counts.at(-1) ?? 0) - moved);
        if (!equal) expect(guess(...counts)).toEqual(weights);
      }),
    );
  });
});
