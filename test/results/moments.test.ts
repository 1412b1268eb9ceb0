import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Moments, meanOf, mergeMoments, NO_MOMENTS, sampleOf } from "../../src/results/moments.ts";
import { momentsOf } from "../support/moments.ts";

/** `SEED=… npm test -- test/results/moments` uses another seed. A failure prints its seed. */
const seed = Number(process.env["SEED"] ?? 20261124);

/** The deviations of whole numbers, exact: n Σ xy − Σx Σy as a BigInt, then one division. */
function exactDeviations(xs: readonly number[], ys: readonly number[]): number {
  const n = BigInt(xs.length);
  let [sumX, sumY, products] = [0n, 0n, 0n];
  for (const [index, x] of xs.entries()) {
    const [a, b] = [BigInt(x), BigInt(ys[index] ?? 0)];
    sumX += a;
    sumY += b;
    products += a * b;
  }
  const numerator = n * products - sumX * sumY;
  return Number(numerator) / Number(n);
}

/** Some values with covariates, far from 0 or around it, and where to cut them. */
const anySplit = fc
  .record({
    offset: fc.constantFrom(0, 3, 1_000_000, 1_000_000_000_000),
    pairs: fc.array(fc.tuple(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -1000, max: 1000 })), {
      minLength: 2,
      maxLength: 40,
    }),
    cuts: fc.array(fc.nat({ max: 40 }), { maxLength: 5 }),
  })
  .map(({ offset, pairs, cuts }) => ({
    values: pairs.map(([value]) => offset + value),
    covariates: pairs.map(([, covariate]) => offset + covariate),
    bounds: [0, ...cuts.toSorted((a, b) => a - b), pairs.length].map((cut) => Math.min(cut, pairs.length)),
  }));

describe("mergeMoments", () => {
  it("gives the exact figures of all values, wherever they are split", () => {
    fc.assert(
      fc.property(anySplit, ({ values, covariates, bounds }) => {
        const parts = bounds.slice(1).map((end, index) => {
          const start = bounds[index] ?? 0;
          return momentsOf(end - start, values.slice(start, end), covariates.slice(start, end));
        });
        const { identities, sum, squaredDeviations, covariate } = parts.reduce(mergeMoments, NO_MOMENTS);
        const total = (numbers: readonly number[]) => numbers.reduce((total, value) => total + value, 0);
        expect({ identities, sum, covariateSum: covariate?.sum }).toEqual({
          identities: values.length,
          sum: total(values),
          covariateSum: total(covariates),
        });
        const [ofValues, ofCovariates] = [exactDeviations(values, values), exactDeviations(covariates, covariates)];
        const expectClose = (actual: number | undefined, expected: number, scale: number) =>
          expect(Math.abs((actual ?? Number.NaN) - expected)).toBeLessThanOrEqual(1e-6 * scale);
        expectClose(squaredDeviations, ofValues, ofValues);
        expectClose(covariate?.squaredDeviations, ofCovariates, ofCovariates);
        expectClose(
          covariate?.productsOfDeviations,
          exactDeviations(values, covariates),
          Math.sqrt(ofValues * ofCovariates),
        );
      }),
      { seed },
    );
  });

  it("has a covariate only if both have one", () => {
    const [plain, adjustable] = [momentsOf(2, [1, 2]), momentsOf(2, [1, 2], [3, 4])];
    expect(mergeMoments(plain, adjustable).covariate).toBeNull();
    expect(mergeMoments(adjustable, plain).covariate).toBeNull();
    expect(mergeMoments(adjustable, NO_MOMENTS)).toEqual(adjustable);
  });
});

describe("sampleOf", () => {
  it("has the mean and the variance of the sample", () => {
    expect(sampleOf(momentsOf(2, [1, 4]))).toEqual({ mean: 2.5, variance: 4.5 });
    expect(sampleOf(momentsOf(4, [2, 1, 5, 3]))?.variance).toBeCloseTo(8.75 / 3, 14);
  });

  it("keeps six digits of a deviation that is a billionth of the mean", () => {
    const values = Array.from({ length: 100_000 }, (_, index) => 1e9 + (index % 2 === 0 ? 1 : -1));
    let moments: Moments = NO_MOMENTS;
    for (let start = 0; start < values.length; start += 1000)
      moments = mergeMoments(moments, momentsOf(1000, values.slice(start, start + 1000)));
    expect((sampleOf(moments)?.variance ?? 0) * 99_999).toBeCloseTo(100_000, 4);
  });

  it("has no variance where values differ by rounding only", () => {
    const averages = Array.from(
      { length: 100 },
      (_, index) =>
        Array(index + 1)
          .fill(4.7)
          .reduce((a, b) => a + b) /
        (index + 1),
    );
    expect(new Set(averages).size).toBeGreaterThan(1);
    expect(sampleOf(momentsOf(100, averages))?.variance).toBe(0);
  });

  it("has a variance where values differ by more than rounding, however many they are", () => {
    const differing = (identities: number, deviation: number) =>
      sampleOf({ identities, sum: identities, squaredDeviations: identities * deviation ** 2, covariate: null })
        ?.variance;
    expect([differing(2_000_000, 1e-13), differing(100, 1e-13)]).toEqual([0, 0]);
    expect(differing(2_000_000, 1e-11)).toBeGreaterThan(0);
    expect(differing(100, 1e-11)).toBeGreaterThan(0);
  });

  it("is null below two identities, where there may be a mean", () => {
    expect([meanOf(NO_MOMENTS), sampleOf(NO_MOMENTS)]).toEqual([null, null]);
    expect([meanOf(momentsOf(1, [7])), sampleOf(momentsOf(1, [7]))]).toEqual([7, null]);
  });
});
