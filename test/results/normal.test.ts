import { describe, expect, it } from "vitest";
import { normalCdf } from "../../src/results/normal.ts";

describe("normalCdf", () => {
  // erfc(-z / sqrt(2)) / 2 by mpmath 1.3 with 50 digits.
  it.each([
    [-37, 5.725571222524577e-300],
    [-20, 2.7536241186062337e-89],
    [-8, 6.220960574271784e-16],
    [-5, 2.866515718791939e-7],
    [-1.959963984540054, 0.025000000000000015],
    [-1, 0.15865525393145705],
    [-0.5, 0.3085375387259869],
    [-1e-8, 0.4999999960105772],
    [0.5, 0.6914624612740131],
    [1, 0.8413447460685429],
    [1.3, 0.9031995154143897],
    [3, 0.9986501019683699],
    [8, 0.9999999999999993],
  ])("is Φ(%d) = %d to twelve digits", (z, expected) => {
    expect(Math.abs(normalCdf(z) / expected - 1)).toBeLessThan(1e-12);
  });

  it("is ½ at 0, and 0 and 1 far out", () => {
    expect([0, -0, -100, 100, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY].map(normalCdf)).toEqual([
      0.5, 0.5, 0, 1, 0, 1,
    ]);
  });
});
