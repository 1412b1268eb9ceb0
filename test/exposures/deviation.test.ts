import { describe, expect, it } from "vitest";
import { findCauses } from "../../src/exposures/causes.ts";
import { logLikelihoodRatio, pValueOf, splitDeviation } from "../../src/exposures/deviation.ts";
import { breakdowns, countries, value, variants, versions } from "../support/breakdowns.ts";

describe("findCauses › p_value", () => {
  it("is adjusted by Holm's method for the values, and by Bonferroni's for the dimensions", () => {
    const fair = value("fair", 5000, 5000);
    const [bad, worse] = [value("bad", 460, 300), value("worse", 500, 250)];
    const deviation = splitDeviation(variants);
    const [counts, badCounts, worseCounts] = [fair, bad, worse].map(deviation.countsOf);
    if (counts === undefined || badCounts === undefined || worseCounts === undefined) throw new Error();
    const sum = counts.map((count, index) => count + (badCounts[index] ?? 0));
    const dimensions = [versions(fair, bad, worse), countries(value("DE", 3000, 2800), value("CH", 2960, 2750))];
    const { causes } = findCauses("sample_ratio", breakdowns(...dimensions), variants);
    expect(causes.map(({ value, pValue }) => [value, pValue])).toEqual([
      ["worse", 2 * 3 * pValueOf(worseCounts, sum, deviation)],
      ["bad", 2 * 2 * pValueOf(badCounts, counts, deviation)],
    ]);
  });

  // By SciPy 1.17: twice the larger tail of binom.sf(x - 1, n, 1 / 2) and hypergeom.sf(x - 1, N, K, n).
  it.each([
    { part: [1204, 696], rest: [2090, 2110], expected: 4.3211168355105474e-23 },
    { part: [75, 25], rest: [900, 1000], expected: 5.636282034205402e-7 },
    { part: [15, 0], rest: [50, 60], expected: 6.103515625e-5 },
  ])("bounds that of two exact tests for $part beside $rest", ({ part, rest, expected }) => {
    const pValue = pValueOf(part, rest, splitDeviation(variants));
    expect(pValue).toBeGreaterThanOrEqual(expected * (1 - 1e-9));
    expect(pValue).toBeLessThanOrEqual(expected * 1.1);
  });
});

describe("logLikelihoodRatio", () => {
  // By SciPy 1.17: chi2_contingency([part, rest], correction=False, lambda_="log-likelihood").statistic / 2.
  it.each([
    { part: [1204, 696], rest: [2090, 2110], expected: 49.251506817193786 },
    { part: [15, 0], rest: [50, 60], expected: 10.752354653812748 },
    { part: [10, 20, 30], rest: [300, 200, 100], expected: 19.636525431364106 },
  ])("is half the G statistic for $part beside $rest", ({ part, rest, expected }) => {
    expect(logLikelihoodRatio(part, rest)).toBeCloseTo(expected, 9);
    expect(logLikelihoodRatio(rest, part)).toBeCloseTo(expected, 9);
  });

  it("is 0 for equal shares and for no identities", () => {
    expect(logLikelihoodRatio([10, 30], [20, 60])).toBeCloseTo(0, 12);
    expect(logLikelihoodRatio([0, 0], [20, 60])).toBe(0);
    expect(logLikelihoodRatio([0, 20], [0, 60])).toBe(0);
  });
});
