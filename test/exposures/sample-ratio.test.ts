import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  chiSquare,
  chiSquareTail,
  logBayesFactor,
  sharesOf,
  testSampleRatio,
} from "../../src/exposures/sample-ratio.ts";

/** `SEED=… npm test -- test/exposures/sample-ratio` uses another seed. A failure prints its seed. */
const seed = Number(process.env["SEED"] ?? 20261124);

/** The relative error. */
const relativeError = (actual: number, expected: number) => Math.abs(actual / expected - 1);
const sum = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);
const repeated = <Item>(count: number, item: (index: number) => Item) =>
  Array.from({ length: count }, (_, i) => item(i));

/** Transposes buckets with one number per variant to variants with one number per bucket. */
const byVariant = (variants: number, buckets: readonly (readonly number[])[]) =>
  repeated(variants, (index) => buckets.map((bucket) => bucket[index] ?? 0));

/** Even or uneven shares of two to six variants, and some buckets of new identities. */
const anyExperiment = fc.integer({ min: 2, max: 6 }).chain((variants) =>
  fc.record({
    shares: fc
      .array(fc.oneof(fc.integer({ min: 1, max: 10 }), fc.double({ min: 1e-3, max: 1e3, noNaN: true })), {
        minLength: variants,
        maxLength: variants,
      })
      .map(sharesOf),
    buckets: fc.array(
      fc.array(fc.oneof(fc.constant(0), fc.nat({ max: 30 }), fc.nat({ max: 3000 })), {
        minLength: variants,
        maxLength: variants,
      }),
      { minLength: 1, maxLength: 12 },
    ),
  }),
);
const hasIdentities = ({ buckets }: { buckets: number[][] }) => sum(buckets.flat()) > 0;

describe("testSampleRatio › pValue", () => {
  it.each([
    { observed: [1000, 1200], weights: [50, 50], expected: 0.000020079, digits: 5 },
    { observed: [135, 115], weights: [50, 50], expected: 0.205903, digits: 6 },
    { observed: [310, 98], weights: [75, 25], expected: 0.647434, digits: 6 },
    { observed: [500, 500, 600], weights: [34, 33, 33], expected: 0.000592638, digits: 6 },
    { observed: [0, 10, 10], weights: [34, 33, 33], expected: 0.00579062, digits: 6 },
  ])("is $expected for $observed with the weights $weights", ({ observed, weights, expected, digits }) => {
    const added = observed.map((count) => [count]);
    expect(Number(testSampleRatio(sharesOf(weights), added).pValue.toPrecision(digits))).toBe(expected);
  });

  it("depends only on the totals, not on the buckets", () => {
    fc.assert(
      fc.property(anyExperiment.filter(hasIdentities), ({ shares, buckets }) => {
        const totals = shares.map((_, index) => sum(buckets.map((bucket) => bucket[index] ?? 0)));
        const { pValue } = testSampleRatio(shares, byVariant(shares.length, buckets));
        expect(pValue).toBe(testSampleRatio(shares, byVariant(shares.length, [totals])).pValue);
        expect(pValue).toBe(chiSquareTail(chiSquare(shares, totals, sum(totals)), shares.length - 1));
      }),
      { seed },
    );
  });

  it("is 1 for an exact split", () => {
    expect(testSampleRatio([0.25, 0.75], [[25], [75]]).pValue).toBe(1);
  });
});

describe("chiSquareTail", () => {
  // NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.4, by degrees of freedom. The values are rounded to three
  // decimals, so the exact one is within 0.0005.
  const UPPER = [0.1, 0.05, 0.025, 0.01, 0.001];
  const LOWER = [0.9, 0.95, 0.975, 0.99, 0.999];
  it.each([
    { degrees: 1, tails: UPPER, values: [2.706, 3.841, 5.024, 6.635, 10.828] },
    { degrees: 2, tails: UPPER, values: [4.605, 5.991, 7.378, 9.21, 13.816] },
    { degrees: 3, tails: UPPER, values: [6.251, 7.815, 9.348, 11.345, 16.266] },
    { degrees: 5, tails: UPPER, values: [9.236, 11.07, 12.833, 15.086, 20.515] },
    { degrees: 10, tails: UPPER, values: [15.987, 18.307, 20.483, 23.209, 29.588] },
    { degrees: 20, tails: UPPER, values: [28.412, 31.41, 34.17, 37.566, 45.315] },
    { degrees: 30, tails: UPPER, values: [40.256, 43.773, 46.979, 50.892, 59.703] },
    { degrees: 50, tails: UPPER, values: [63.167, 67.505, 71.42, 76.154, 86.661] },
    { degrees: 100, tails: UPPER, values: [118.498, 124.342, 129.561, 135.807, 149.449] },
    { degrees: 1, tails: LOWER, values: [0.016, 0.004, 0.001, 0, 0] },
    { degrees: 10, tails: LOWER, values: [4.865, 3.94, 3.247, 2.558, 1.479] },
    { degrees: 100, tails: LOWER, values: [82.358, 77.929, 74.222, 70.065, 61.918] },
  ])("is $tails at the published values $values for $degrees degrees of freedom", ({ degrees, tails, values }) => {
    for (const [index, value] of values.entries()) {
      expect(chiSquareTail(Math.max(value - 0.0005, 0), degrees)).toBeGreaterThanOrEqual(tails[index] ?? Number.NaN);
      expect(chiSquareTail(value + 0.0005, degrees)).toBeLessThanOrEqual(tails[index] ?? Number.NaN);
    }
  });

  // By mpmath 1.3 with 60 digits: gammainc(degrees / 2, x / 2, regularized=True).
  it.each([
    [1, 0.001, 0.97477287936996],
    [1, 1, 0.317310507862914],
    [1, 3, 0.0832645166635504],
    [1, 30, 4.3204630578275e-8],
    [1, 447, 3.24342151586808e-99],
    [1, 1373.5, 1.20496563310096e-300],
    [2, 0.5, 0.778800783071405],
    [2, 1381.5, 1.02585652543581e-300],
    [3, 4.5, 0.212290287360133],
    [3, 5.5, 0.138638617382415],
    [3, 100, 1.5541594313896e-21],
    [4, 1388.1, 2.62984942222237e-299],
    [9, 0.25, 0.999998510981775],
    [9, 11, 0.275708936772222],
    [9, 1400, 7.73099424399916e-296],
    [30, 25, 0.7250318841806],
    [30, 1450, 1.77533687179665e-286],
    [99, 60, 0.999319997049849],
    [99, 101, 0.425238644522994],
    [99, 300, 4.22665346441963e-22],
    [99, 1750, 5.84190369308522e-300],
    [199, 150, 0.996077197317625],
    [199, 201, 0.446972446748314],
    [199, 500, 7.37121546070914e-28],
    [200, 1980, 4.92092783849891e-290],
    [250, 2080, 2.10417034405029e-285],
    [999, 998, 0.502977197311927],
    [999, 1500, 8.51313565549161e-23],
    [999, 3580, 1.83426885222056e-286],
  ])(
    "has a relative error of at most 1e-12 for %d degrees of freedom at %d, where it is %d",
    (degrees, x, expected) => {
      expect(relativeError(chiSquareTail(x, degrees), expected)).toBeLessThanOrEqual(1e-12);
    },
  );

  it("decreases from 1 as x grows, across both methods of computation", () => {
    const anyX = fc.oneof(fc.double({ min: 0, max: 3000, noNaN: true }), fc.double({ min: 0, noNaN: true }));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), anyX, anyX, (degrees, a, b) => {
        const [tail, furtherTail] = [chiSquareTail(Math.min(a, b), degrees), chiSquareTail(Math.max(a, b), degrees)];
        expect(tail).toBeLessThanOrEqual(1);
        expect(furtherTail).toBeGreaterThanOrEqual(Number.MIN_VALUE);
        // Nearly equal x may differ in the last digits only.
        expect(furtherTail).toBeLessThanOrEqual(tail * (1 + 1e-12));
      }),
      { seed, numRuns: 1000 },
    );
    expect(chiSquareTail(0, 3)).toBe(1);
  });
});

describe("logBayesFactor", () => {
  // By mpmath 1.3 with 60 digits, for the exact shares p, c = 10000 and the sum N of the counts n:
  // loggamma(c) - loggamma(c + N) + sum(loggamma(c * p + n) - loggamma(c * p) - n * log(p)).
  it.each([
    { weights: [1, 1], counts: [50, 50], expected: -0.00497541295133529 },
    { weights: [1, 1], counts: [1_000, 1_200], expected: 1.54012215808968 },
    { weights: [1, 1], counts: [100, 0], expected: 0.49013120100826 },
    { weights: [1, 1], counts: [1_000, 0], expected: 45.4738552074575 },
    { weights: [3, 1], counts: [310, 98], expected: -0.0153823000720635 },
    { weights: [9, 1], counts: [90_284_605, 9_905_132], expected: 716.392822319465 },
    { weights: [1, 1], counts: [50_050_000, 49_950_000], expected: 45.389764149699 },
    { weights: [1, 1], counts: [50_000_000, 50_000_000], expected: -4.60524518098847 },
    { weights: [1, 2], counts: [33_300_000, 66_700_000], expected: 20.3966701494084 },
    { weights: [1, 999_999], counts: [1, 999_999], expected: -3.66127172201792 },
    { weights: [1, 999_999], counts: [100, 99_999_900], expected: -6.03839488996831 },
    { weights: [1, 999_999], counts: [250, 99_999_750], expected: 72.5699493792538 },
    { weights: [1, 999_999], counts: [0, 100], expected: 4.91741299193839e-7 },
    { weights: [1, 999_999], counts: [40, 60], expected: 285.959136159339 },
    { weights: [34, 33, 33], counts: [500, 500, 600], expected: 0.873452004389896 },
    { weights: [34, 33, 33], counts: [0, 10, 10], expected: 0.00825893195576161 },
    { weights: [0.1, 0.2, 0.7], counts: [9_968_377, 20_044_721, 69_916_334], expected: 115.907951623694 },
    { weights: [1, 1, 1], counts: [1_601, 5_065, 1_601], expected: 624.8781407236 },
    { weights: [5, 3, 2], counts: [5, 3, 2], expected: -0.000999578033159827 },
  ])("is $expected for $counts with the weights $weights, to 1e-10 of the factor", ({ weights, counts, expected }) => {
    expect(relativeError(Math.exp(expected - logBayesFactor(sharesOf(weights), counts)), 1)).toBeLessThanOrEqual(1e-10);
  });

  it.each([
    {
      split: "an even split",
      weight: () => 1,
      count: (i: number) => 1_000_000 + (i % 7) * 200,
      expected: -447.939919561808,
    },
    {
      split: "shares in steps",
      weight: (i: number) => i + 1,
      count: (i: number) => 20 * (i + 1) + (i % 5) * 3,
      expected: -116.783567946686,
    },
    {
      split: "one empty variant",
      weight: () => 1,
      count: (i: number) => (i === 0 ? 0 : 101),
      expected: -3.32022549739784,
    },
  ])("is $expected for 100 variants with $split, to 1e-10 of the factor", ({ weight, count, expected }) => {
    const actual = logBayesFactor(sharesOf(repeated(100, weight)), repeated(100, count));
    expect(relativeError(Math.exp(expected - actual), 1)).toBeLessThanOrEqual(1e-10);
  });

  it("is a martingale: the next identity leaves the expected factor unchanged", () => {
    fc.assert(
      fc.property(anyExperiment, ({ shares, buckets }) => {
        const counts = shares.map((_, index) => sum(buckets.map((bucket) => bucket[index] ?? 0)));
        const now = logBayesFactor(shares, counts);
        const next = shares.map((share, variant) => {
          const then = counts.map((count, index) => (index === variant ? count + 1 : count));
          return share * Math.exp(logBayesFactor(shares, then) - now);
        });
        expect(relativeError(sum(next), 1)).toBeLessThanOrEqual(1e-9);
      }),
      { seed },
    );
    expect(logBayesFactor([0.5, 0.5], [0, 0])).toBe(0);
  });
});

describe("testSampleRatio › sequentialPValue", () => {
  // By mpmath as above: the minimum of 1 / factor so far.
  it.each([
    {
      weights: [1, 1],
      buckets: [
        { added: [60, 40], expected: 0.985280860477657 },
        { added: [400, 250], expected: 0.270304800212678 },
        { added: [10, 0], expected: 0.230118843447872 },
        { added: [0, 0], expected: 0.230118843447872 },
        { added: [300, 500], expected: 0.230118843447872 },
        { added: [2000, 2000], expected: 0.230118843447872 },
      ],
    },
    {
      weights: [2, 1, 1],
      buckets: [
        { added: [100, 80, 20], expected: 0.716616507372015 },
        { added: [100, 80, 20], expected: 0.260336283616565 },
        { added: [150, 60, 90], expected: 0.260336283616565 },
        { added: [900, 500, 500], expected: 0.260336283616565 },
      ],
    },
  ])("is the minimum over the buckets so far, with the weights $weights", ({ weights, buckets }) => {
    for (const [index, { expected }] of buckets.entries()) {
      const soFar = buckets.slice(0, index + 1).map(({ added }) => added);
      const { sequentialPValue } = testSampleRatio(sharesOf(weights), byVariant(weights.length, soFar));
      expect(relativeError(sequentialPValue, expected)).toBeLessThanOrEqual(1e-12);
    }
  });

  it("is 1 for a fair split, and without identities", () => {
    expect(
      testSampleRatio(
        [0.5, 0.5],
        [
          [50, 7],
          [50, 7],
        ],
      ).sequentialPValue,
    ).toBe(1);
    expect(testSampleRatio([0.5, 0.5], [[0], [0]])).toEqual({ pValue: 1, sequentialPValue: 1 });
    expect(testSampleRatio([0.5, 0.5], [[], []])).toEqual({ pValue: 1, sequentialPValue: 1 });
  });

  it("stays low when the split returns to balance", () => {
    const { pValue, sequentialPValue } = testSampleRatio(
      [0.5, 0.5],
      [
        [900, 100],
        [100, 900],
      ],
    );
    expect(pValue).toBe(1);
    expect(sequentialPValue).toBe(testSampleRatio([0.5, 0.5], [[900], [100]]).sequentialPValue);
    expect(sequentialPValue).toBeLessThan(1e-10);
  });

  it("is evaluated only at the ends of buckets", () => {
    const atOnce = testSampleRatio([0.5, 0.5], [[1000], [1000]]);
    expect(atOnce.sequentialPValue).toBe(1);
    expect(
      testSampleRatio(
        [0.5, 0.5],
        [
          [1000, 0],
          [0, 1000],
        ],
      ).sequentialPValue,
    ).toBeLessThan(1e-10);
  });

  it("is the minimum over the ends of buckets, and does not rise as buckets are added", () => {
    fc.assert(
      fc.property(anyExperiment, ({ shares, buckets }) => {
        const counts = shares.map(() => 0);
        let minimum = 1;
        for (const [index, bucket] of buckets.entries()) {
          for (const [variant, added] of bucket.entries()) counts[variant] = (counts[variant] ?? 0) + added;
          minimum = Math.min(minimum, Math.max(Math.exp(-logBayesFactor(shares, counts)), Number.MIN_VALUE));
          const soFar = byVariant(shares.length, buckets.slice(0, index + 1));
          expect(testSampleRatio(shares, soFar).sequentialPValue).toBe(minimum);
        }
      }),
      { seed },
    );
  });

  it("may rise when buckets become longer", () => {
    const hours = [
      [4000, 2000],
      [2000, 4000],
    ];
    const testOf = (buckets: number[][]) => testSampleRatio([0.5, 0.5], byVariant(2, buckets)).sequentialPValue;
    expect(testOf(hours)).toBeLessThan(1e-6);
    expect(testOf([[6000, 6000]])).toBe(1);
  });

  it("ignores empty buckets", () => {
    fc.assert(
      fc.property(anyExperiment, fc.nat(), ({ shares, buckets }, position) => {
        const withEmptyBucket = buckets.toSpliced(
          position % (buckets.length + 1),
          0,
          shares.map(() => 0),
        );
        expect(testSampleRatio(shares, byVariant(shares.length, withEmptyBucket))).toEqual(
          testSampleRatio(shares, byVariant(shares.length, buckets)),
        );
      }),
      { seed },
    );
  });
});

describe("testSampleRatio › both p-values", () => {
  it("do not depend on the order of the variants", () => {
    const experimentAndOrder = anyExperiment.filter(hasIdentities).chain((experiment) => {
      const indexes = experiment.shares.map((_, index) => index);
      const order = fc.shuffledSubarray(indexes, { minLength: indexes.length });
      return fc.record({ experiment: fc.constant(experiment), order });
    });
    fc.assert(
      fc.property(experimentAndOrder, ({ experiment: { shares, buckets }, order }) => {
        const reordered = (row: readonly number[]) => order.map((index) => row[index] ?? Number.NaN);
        const one = testSampleRatio(shares, byVariant(shares.length, buckets));
        const other = testSampleRatio(reordered(shares), byVariant(shares.length, buckets.map(reordered)));
        // Numbers close to Number.MIN_VALUE have fewer digits.
        for (const [a, b] of [
          [one.pValue, other.pValue],
          [one.sequentialPValue, other.sequentialPValue],
        ] as const)
          if (a > 1e-300) expect(Math.abs(Math.log(a / b))).toBeLessThanOrEqual(1e-12 * Math.max(1, -Math.log(a)));
          else expect(b).toBeLessThan(2e-300);
      }),
      { seed },
    );
  });

  it.each([
    { split: "an empty variant beside a billion", weights: [1, 1], counts: [0, 1e9] },
    { split: "a billion in a variant with a share of 1e-6", weights: [1, 999_999], counts: [1e9, 0] },
    { split: "a billion in a variant with the minimum share", weights: [1e308, 1e-308], counts: [0, 1e9] },
    { split: "the largest safe integer in one variant", weights: [1, 1], counts: [0, Number.MAX_SAFE_INTEGER] },
    {
      split: "a billion in one of 100 variants",
      weights: repeated(100, () => 1),
      counts: [1e9, ...repeated(99, () => 0)],
    },
  ])("are the smallest positive number, not 0, for $split", ({ weights, counts }) => {
    expect(
      testSampleRatio(
        sharesOf(weights),
        counts.map((count) => [count]),
      ),
    ).toEqual({
      pValue: Number.MIN_VALUE,
      sequentialPValue: Number.MIN_VALUE,
    });
  });

  it("are above 0 and at most 1 for all weights and counts", () => {
    const weight = fc.oneof(
      fc.constantFrom(Number.MIN_VALUE, 1e-320, 1e-308, 1e-9, 1, 1e9, 1e308, Number.MAX_VALUE),
      fc.double({ min: Number.MIN_VALUE, max: Number.MAX_VALUE, noNaN: true }),
    );
    const count = fc.oneof(fc.constantFrom(0, 1, 1e9), fc.nat());
    const arms = fc.array(fc.tuple(weight, count, count), { minLength: 2, maxLength: 100 });
    fc.assert(
      fc.property(arms, (arms) => {
        fc.pre(arms.some(([, first, second]) => first + second > 0));
        const shares = sharesOf(arms.map(([weight]) => weight));
        const { pValue, sequentialPValue } = testSampleRatio(
          shares,
          arms.map(([, first, second]) => [first, second]),
        );
        for (const value of [pValue, sequentialPValue]) {
          expect(value).toBeGreaterThanOrEqual(Number.MIN_VALUE);
          expect(value).toBeLessThanOrEqual(1);
        }
      }),
      { seed, numRuns: 500 },
    );
  });
});

describe("chiSquareTail and logBayesFactor", () => {
  it("return NaN for NaN instead of looping forever", () => {
    expect(chiSquareTail(Number.NaN, 1)).toBeNaN();
    expect(logBayesFactor([0.5, 0.5], [Number.NaN, 1])).toBeNaN();
  });
});

describe("sharesOf", () => {
  it.each([
    { weights: [50, 50], expected: [0.5, 0.5] },
    { weights: [3, 1], expected: [0.75, 0.25] },
    { weights: [0.125, 0.375], expected: [0.25, 0.75] },
    { weights: [1e308, 1e308, 1e308, 1e308], expected: [0.25, 0.25, 0.25, 0.25] },
    { weights: [Number.MIN_VALUE, Number.MIN_VALUE], expected: [0.5, 0.5] },
    { weights: [Number.MIN_VALUE, 3 * Number.MIN_VALUE], expected: [0.25, 0.75] },
    { weights: [7], expected: [1] },
  ])("returns $expected for the weights $weights", ({ weights, expected }) => {
    expect(sharesOf(weights)).toEqual(expected);
  });

  it("returns a share above 0 for a tiny weight beside a large one", () => {
    const [small = 0, large] = sharesOf([1e-308, 1e308]);
    expect(small).toBeGreaterThan(0);
    expect(10_000 * small).toBeLessThan(1e-200);
    expect(large).toBe(1);
  });
});
