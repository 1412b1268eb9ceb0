import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { binomialTail, hypergeometricTail } from "../../src/exposures/tail-bounds.ts";

/** `SEED=… npm test -- test/exposures/tail-bounds` uses another seed. A failure prints its seed. */
const seed = Number(process.env["SEED"] ?? 20261124);

/** Binomial coefficients, exactly. */
function choose(n: number, k: number): bigint {
  let result = 1n;
  for (let i = 1; i <= k; i += 1) result = (result * BigInt(n - k + i)) / BigInt(i);
  return result;
}

const SCALE = 10n ** 300n;
const ratioOf = (numerator: bigint, denominator: bigint) => Number((numerator * SCALE) / denominator) / 1e300;

/** The exact tail for p = a / b. */
function exactBinomialTail(x: number, n: number, a: number, b: number): number {
  let sum = 0n;
  for (let k = x; k <= n; k += 1) sum += choose(n, k) * BigInt(a) ** BigInt(k) * BigInt(b - a) ** BigInt(n - k);
  return ratioOf(sum, BigInt(b) ** BigInt(n));
}

function exactHypergeometricTail(x: number, n: number, successes: number, population: number): number {
  let sum = 0n;
  for (let k = x; k <= Math.min(n, successes); k += 1)
    if (n - k <= population - successes) sum += choose(successes, k) * choose(population - successes, n - k);
  return ratioOf(sum, choose(population, n));
}

/** A bound holds up to rounding, and is close where a tail is small enough to matter. */
function expectBound(bound: number, exact: number): void {
  expect(bound).toBeGreaterThanOrEqual(exact * (1 - 1e-11));
  expect(bound).toBeLessThanOrEqual(1);
  if (exact < 0.001) expect(bound).toBeLessThanOrEqual(exact * 1.1);
}

describe("binomialTail", () => {
  it("is at least the exact tail, and at most 10 % more below 0.001", () => {
    const anyTail = fc.integer({ min: 1, max: 120 }).chain((n) =>
      fc.record({
        n: fc.constant(n),
        x: fc.integer({ min: 0, max: n }),
        a: fc.integer({ min: 1, max: 99 }),
      }),
    );
    fc.assert(
      fc.property(anyTail, ({ n, x, a }) => expectBound(binomialTail(x, n, a / 100), exactBinomialTail(x, n, a, 100))),
      { seed, numRuns: 500 },
    );
  });

  // By mpmath with 40 digits; SciPy's binom.sf(x - 1, n, p) agrees.
  it.each([
    [1204, 1900, 0.5, 6.24595825807e-32],
    [15, 100, 0.05, 0.000135854238992],
    [40, 100, 0.2, 3.60842011464e-6],
    [501700, 1000000, 0.5, 0.000338159885906],
    [7, 100, 0.01, 7.10836613712e-5],
    [90500, 100000, 0.9, 5.67702783215e-8],
  ])("bounds the tail from %d on of %d trials at %d, which is %d", (x, n, p, exact) => {
    expectBound(binomialTail(x, n, p), exact);
  });

  it("is 1 up to the mean", () => {
    expect(binomialTail(50, 100, 0.5)).toBe(1);
    expect(binomialTail(0, 0, 0.5)).toBe(1);
    expect(binomialTail(10, 10, 1)).toBe(1);
  });

  it("is the smallest positive number where the tail underflows", () => {
    expect(binomialTail(100_000, 100_000, 0.5)).toBe(Number.MIN_VALUE);
    expect(binomialTail(3, 10, 0)).toBe(Number.MIN_VALUE);
  });
});

describe("hypergeometricTail", () => {
  it("is at least the exact tail, and at most 10 % more below 0.001", () => {
    const anyTable = fc.record({
      x: fc.nat({ max: 40 }),
      failures: fc.nat({ max: 40 }),
      otherSuccesses: fc.nat({ max: 60 }),
      others: fc.nat({ max: 60 }),
    });
    fc.assert(
      fc.property(anyTable, ({ x, failures, otherSuccesses, others }) => {
        const n = x + failures;
        const population = n + otherSuccesses + others;
        fc.pre(population > 0);
        const table = [x, n, x + otherSuccesses, population] as const;
        expectBound(hypergeometricTail(...table), exactHypergeometricTail(...table));
      }),
      { seed, numRuns: 500 },
    );
  });

  it("is the p-value of Fisher's tea tasting where all four cups are found", () => {
    expect(hypergeometricTail(4, 4, 4, 8)).toBeCloseTo(1 / 70, 12);
  });

  // By mpmath with 40 digits; SciPy's hypergeom.sf(x - 1, population, successes, n) agrees.
  it.each([
    [80, 3780, 83, 7480, 1.52003438627e-20],
    [400, 4100, 422, 7822, 2.71455994732e-87],
    [1204, 1900, 3294, 6100, 2.16055841776e-23],
    [12, 20, 20, 200, 1.87521060372e-9],
    [50500, 100000, 500000, 1000000, 0.000434194506607],
    [5, 5, 60, 1000, 6.61978084697e-7],
  ])(
    "bounds the tail from %d on of %d drawn, of %d successes among %d, which is %d",
    (x, n, successes, population, exact) => {
      expectBound(hypergeometricTail(x, n, successes, population), exact);
    },
  );

  it("is 1 up to the mean, and without identities", () => {
    expect(hypergeometricTail(5, 10, 50, 100)).toBe(1);
    expect(hypergeometricTail(0, 0, 0, 0)).toBe(1);
    expect(hypergeometricTail(10, 10, 10, 10)).toBe(1);
  });

  it("is above 0 and finite for the largest safe integers", () => {
    const half = 2 ** 51;
    expect(hypergeometricTail(half, half, half, 4 * half)).toBe(Number.MIN_VALUE);
    expect(hypergeometricTail(half / 4 + 2 ** 28, half, half, 4 * half)).toBeGreaterThan(0);
  });
});
