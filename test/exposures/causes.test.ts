import { describe, expect, it } from "vitest";
import type { Breakdown, BreakdownValue } from "../../src/exposures/breakdown.ts";
import { HOUR } from "../../src/exposures/buckets.ts";
import { type CauseReport, describeSdkVersions, findCauses } from "../../src/exposures/causes.ts";
import { breakdowns, countries, hours, START, value, variants, versions } from "../support/breakdowns.ts";

const noCause: CauseReport = { causes: [], beganAt: null, detail: "No single value explains it." };

describe("findCauses › sample_ratio", () => {
  const broken = versions(value("10.1.0", 2000, 2010), value("10.2.0", 1204, 696), value(null, 90, 100));

  it("names the value without which the split is fair", () => {
    const { causes, detail } = findCauses("sample_ratio", breakdowns(broken), variants);
    expect(causes).toMatchObject([
      {
        dimension: "sdk_version",
        value: "10.2.0",
        identities: new Map([
          ["control", 1204],
          ["treatment", 696],
        ]),
        isFairWithout: true,
        sameAs: [],
        detail:
          '"10.2.0" (sdk_version): "control" has 1,204 of 1,900 identities instead of 950; without these, the split is fair.',
      },
    ]);
    // The excess is 244 of 3,050 identities: half of |3294 − 2806|. Without the value it is 10.
    expect(causes[0]?.explained).toBeCloseTo(1 - 10 / 244, 12);
    expect(detail).toBe('It is explained by "10.2.0" (sdk_version).');
  });

  it("does not call a value the same if only the counts of one variant are nearly the same", () => {
    const other = countries(value("DE", 2080, 2010), value("CH", 1214, 796));
    const { causes } = findCauses("sample_ratio", breakdowns(broken, other), variants);
    expect(causes).toMatchObject([{ value: "10.2.0", sameAs: [] }]);
  });

  it("says that a value of another dimension has nearly the same identities", () => {
    const mirror = countries(value("DE", 2080, 2090), value("CH", 1214, 716));
    const { causes } = findCauses("sample_ratio", breakdowns(broken, mirror), variants);
    expect(causes).toMatchObject([
      {
        value: "10.2.0",
        sameAs: [{ dimension: "traits.country", value: "CH" }],
        detail: expect.stringContaining(
          '"10.2.0" (sdk_version), nearly the same identities as "CH" (traits.country): ',
        ),
      },
    ]);
  });

  it("names consecutive buckets as one period", () => {
    const time = hours(24, (hour) => (hour === 14 || hour === 15 ? [700, 300] : [300, 300]));
    const report = findCauses("sample_ratio", breakdowns(time), variants);
    expect(report).toMatchObject({
      causes: [
        {
          value: String(START + 14 * HOUR),
          detail:
            'The time from 2026-06-03 14:00 UTC to 2026-06-03 16:00 UTC: "control" has 1,400 of 2,000 identities instead of 1,000; without these, the split is fair.',
        },
      ],
      beganAt: null,
    });
  });

  it("says when it began", () => {
    const time = hours(24, (hour) => (hour < 14 ? [300, 300] : [330, 270]));
    const report = findCauses("sample_ratio", breakdowns(time), variants);
    expect(report.beganAt).toBe(START + 14 * HOUR);
    expect(report.detail).toBe(
      "It is explained by the time from 2026-06-03 14:00 UTC on. It began at 2026-06-03 14:00 UTC.",
    );
  });

  it("says that all values are alike", () => {
    const same = versions(value("10.1.0", 2000, 1700), value("10.2.0", 2000, 1700), value(null, 2000, 1700));
    const report = findCauses(
      "sample_ratio",
      breakdowns(
        same,
        hours(24, () => [250, 212]),
      ),
      variants,
    );
    expect(report).toEqual({
      causes: [],
      beganAt: null,
      detail: "It is the same for every value of sdk_version and first_exposure: look at the assignment itself.",
    });
  });

  it("says nothing where too few identities could show a difference", () => {
    const few = versions(value("10.1.0", 60, 40), value("10.2.0", 60, 40));
    expect(findCauses("sample_ratio", breakdowns(few), variants)).toEqual(noCause);
  });

  it("does not call values alike where only one of them is fair", () => {
    const oneFair = versions(
      value("fair", 1000, 1000),
      ...Array.from({ length: 9 }, (_, index) => value(`off ${index}`, 1300, 1000)),
    );
    expect(findCauses("sample_ratio", breakdowns(oneFair), variants)).toEqual(noCause);
  });

  it("names several values of one dimension, the worst first", () => {
    const two = versions(value("fair", 20_000, 20_050), value("bad", 1800, 1000), value("worse", 2000, 700));
    const { causes, detail } = findCauses("sample_ratio", breakdowns(two), variants);
    expect(causes.map(({ value, isFairWithout }) => [value, isFairWithout])).toEqual([
      ["worse", false],
      ["bad", false],
    ]);
    expect(causes[0]?.detail).toBe(
      '"worse" (sdk_version): "control" has 2,000 of 2,700 identities instead of 1,350; without these, 63% of the deviation is gone.',
    );
    expect(detail).toBe('It is explained by "worse" (sdk_version) and "bad" (sdk_version).');
  });

  it("calls what remains fair as the check does, from a p-value of 0.001 on", () => {
    // By SciPy 1.17, chisquare([50_000 + x, 50_000]) is 0.00115 for x = 1033 and 0.00098 for x = 1048.
    for (const [more, isFairWithout] of [
      [1033, true],
      [1048, false],
    ] as const) {
      const some = versions(value("10.1.0", 50_000 + more, 50_000), value("10.2.0", 3000, 1000));
      expect(findCauses("sample_ratio", breakdowns(some), variants).causes).toMatchObject([{ isFairWithout }]);
    }
  });

  it("says that a part is not explained", () => {
    const both = versions(value("fair", 52_000, 50_000), value("10.2.0", 5000, 3000));
    expect(findCauses("sample_ratio", breakdowns(both), variants)).toMatchObject({
      causes: [{ value: "10.2.0", isFairWithout: false, explained: 0.5 }],
      detail: 'It is partly explained by "10.2.0" (sdk_version): fix this first, then check again.',
    });
  });

  it("names at most five values", () => {
    const bad = Array.from({ length: 7 }, (_, index) => value(`bad ${index}`, 1500 + index, 1000));
    const { causes } = findCauses(
      "sample_ratio",
      breakdowns(versions(value("fair", 90_000, 90_000), ...bad)),
      variants,
    );
    expect(causes).toHaveLength(5);
  });

  it("does not name a value that explains less than a tenth", () => {
    const tiny = versions(value("large", 52_000, 50_000), value("tiny", 100, 0));
    expect(findCauses("sample_ratio", breakdowns(tiny), variants).causes).toEqual([]);
  });

  it("does not name a value that is off the other way", () => {
    const opposite = versions(value("large", 52_000, 50_000), value("10.2.0", 400, 600));
    expect(findCauses("sample_ratio", breakdowns(opposite), variants).causes).toEqual([]);
  });

  it("names the value of a dimension rather than a larger one that contains it", () => {
    const languages: Breakdown = {
      dimension: "sdk_language",
      values: [value("js", 2000, 2010), value("python", 1294, 796)],
    };
    expect(findCauses("sample_ratio", breakdowns(languages, broken), variants).causes).toMatchObject([
      { dimension: "sdk_version", value: "10.2.0", sameAs: [] },
    ]);
  });

  it("names one value rather than all the values that it consists of", () => {
    const languages: Breakdown = {
      dimension: "sdk_language",
      values: [value("js", 8000, 8010), value("python", 3000, 2000)],
    };
    const parts = versions(value("js 1", 8000, 8010), value("python 1", 1500, 1000), value("python 2", 1500, 1000));
    expect(findCauses("sample_ratio", breakdowns(parts, languages), variants).causes).toMatchObject([
      { dimension: "sdk_language", value: "python" },
    ]);
  });

  it("prefers the first dimension for the same identities", () => {
    const mirror = countries(value("DE", 2090, 2110), value("CH", 1204, 696));
    for (const [first, second] of [
      [broken, mirror],
      [mirror, broken],
    ] as const)
      expect(findCauses("sample_ratio", breakdowns(first, second), variants).causes).toMatchObject([
        { dimension: first.dimension, sameAs: [{ dimension: second.dimension }] },
      ]);
  });

  it("names all other values, and hostile names quoted and shortened", () => {
    const rest = versions(value("10.1.0", 5000, 5000), value(null, 1200, 800));
    expect(findCauses("sample_ratio", breakdowns(rest), variants).detail).toBe(
      "It is explained by all other values (sdk_version).",
    );
    const hostile = versions(value("10.1.0", 5000, 5000), value(`</script>\u202e${"x".repeat(50)}`, 1200, 800));
    expect(findCauses("sample_ratio", breakdowns(hostile), variants).detail).toBe(
      `It is explained by "</script>\ufffd${"x".repeat(29)}…" (sdk_version).`,
    );
  });

  it("ignores variants without a weight, and follows uneven weights", () => {
    const uneven = [
      { key: "off", weight: 0 },
      { key: "treatment", weight: 1 },
      { key: "control", weight: 3 },
    ];
    const values = versions(value("10.1.0", 3000, 1000), value("10.2.0", 600, 400));
    const withOthers = {
      ...values,
      values: values.values.map((one) => ({ ...one, identities: new Map(one.identities) })),
    };
    for (const { identities } of withOthers.values) identities.set("off", 900).set("unknown", 77);
    const { causes } = findCauses("sample_ratio", breakdowns(withOthers), uneven);
    expect(causes).toMatchObject([
      {
        value: "10.2.0",
        explained: 1,
        detail:
          '"10.2.0" (sdk_version): "treatment" has 400 of 1,000 identities instead of 250; without these, the split is fair.',
      },
    ]);
    expect(causes[0]?.identities).toEqual(
      new Map([
        ["control", 600],
        ["treatment", 400],
        ["off", 900],
        ["unknown", 77],
      ]),
    );
  });

  it("names the value in which one of many variants lacks identities", () => {
    const keys = Array.from({ length: 10 }, (_, index) => `variant ${index}`);
    const some = (name: string, identities: number, last: number): BreakdownValue => ({
      ...value(name, 0, 0),
      identities: new Map(keys.map((key, index) => [key, index === 9 ? last : identities])),
    });
    const { causes } = findCauses(
      "sample_ratio",
      breakdowns(versions(some("10.1.0", 1000, 1000), some("10.2.0", 500, 150))),
      keys.map((key) => ({ key, weight: 1 })),
    );
    expect(causes).toMatchObject([
      {
        value: "10.2.0",
        detail: expect.stringContaining('"variant 9" has 150 of 4,650 identities instead of 465'),
      },
    ]);
  });

  it.each([
    { what: "no dimension", dimensions: [] },
    { what: "no values", dimensions: [versions()] },
    { what: "no identities", dimensions: [versions(value("10.1.0", 0, 0), value(null, 0, 0))] },
    {
      what: "one value in each dimension",
      dimensions: [versions(value("10.1.0", 2000, 1000)), hours(1, () => [2000, 1000])],
    },
    { what: "a fair split", dimensions: [versions(value("10.1.0", 2000, 2000), value("10.2.0", 1000, 1000))] },
  ])("names nothing for $what", ({ dimensions }) => {
    expect(findCauses("sample_ratio", breakdowns(...dimensions), variants)).toEqual(noCause);
    expect(findCauses("multiple_variants", breakdowns(...dimensions), variants)).toEqual(noCause);
  });

  it.each([[], [{ key: "control", weight: 1 }], [{ key: "control", weight: 0 }]])(
    "names nothing for fewer than two variants with a weight",
    (...weights) => {
      expect(findCauses("sample_ratio", breakdowns(broken), weights)).toEqual(noCause);
    },
  );

  it("keeps p-values above 0 for the largest counts", () => {
    const huge = versions(value("10.1.0", 2 ** 50, 2 ** 50), value("10.2.0", 2 ** 50, 0), value(null, 1, 1));
    const { causes } = findCauses("sample_ratio", breakdowns(huge), variants);
    expect(causes).toMatchObject([{ value: "10.2.0", explained: 1, isFairWithout: true }]);
    expect(causes[0]?.pValue).toBeGreaterThan(0);
    expect(causes[0]?.pValue).toBeLessThan(1e-300);
  });
});

describe("findCauses › multiple_variants", () => {
  const versionsWith = (...excluded: number[]) =>
    versions(...excluded.map((excluded, index) => value(`10.${index}.0`, 2000, 1700, { excluded })));

  it("names the value with more excluded identities than the rest", () => {
    const { causes } = findCauses("multiple_variants", breakdowns(versionsWith(22, 400)), []);
    expect(causes).toMatchObject([
      {
        value: "10.1.0",
        excludedIdentities: 400,
        explained: 1,
        isFairWithout: true,
        detail:
          '"10.1.0" (sdk_version): 400 of 4,100 (9.8%) saw several variants; without these, 22 of 3,722 (0.59%) did.',
      },
    ]);
  });

  it("calls what remains fair as the check does, below a share of 1 %", () => {
    for (const [excluded, isFairWithout] of [
      [99, true],
      [100, false],
    ] as const) {
      const rest = value("10.0.0", 5000, 4900, { excluded });
      const one = { ...rest, counted: 10_000 - excluded };
      const some = versions(one, value("10.1.0", 500, 500, { excluded: 300 }));
      expect(findCauses("multiple_variants", breakdowns(some), []).causes).toMatchObject([{ isFairWithout }]);
    }
  });

  it("names the values above the rest, not the one below", () => {
    const { causes } = findCauses("multiple_variants", breakdowns(versionsWith(400, 400, 400, 0)), []);
    expect(causes.map(({ value }) => value)).toEqual(["10.0.0", "10.1.0", "10.2.0"]);
  });

  it("names a period, and says when it began", () => {
    const time = hours(24, () => [300, 300]);
    const values = time.values.map((one, hour) => ({ ...one, excluded: hour < 20 ? 1 : 40 }));
    expect(findCauses("multiple_variants", breakdowns({ ...time, values }), [])).toMatchObject({
      causes: [
        {
          value: String(START + 20 * HOUR),
          excludedIdentities: 160,
          detail: expect.stringMatching(/without these, 20 of 12,020 \(0\.17%\) did\.$/),
        },
      ],
      beganAt: START + 20 * HOUR,
    });
  });

  it("says of the first periods that later identities have had less time", () => {
    const time = hours(24, () => [300, 300]);
    const values = time.values.map((one, hour) => ({ ...one, excluded: hour < 20 ? 40 : 1 }));
    expect(findCauses("multiple_variants", breakdowns({ ...time, values }), []).causes).toMatchObject([
      {
        value: String(START),
        detail:
          "The time before 2026-06-03 20:00 UTC: 800 of 12,800 (6.3%) saw several variants; without these, 4 of 2,404 (0.17%) did, but later ones have had less time to see a second variant.",
      },
    ]);
  });

  it("does not say so of a later period, or of an SDK version", () => {
    const time = hours(24, () => [300, 300]);
    const values = time.values.map((one, hour) => ({ ...one, excluded: hour >= 5 && hour < 10 ? 90 : 1 }));
    for (const some of [{ ...time, values }, versionsWith(400, 22)]) {
      const { causes } = findCauses("multiple_variants", breakdowns(some), []);
      expect(causes.map(({ detail }) => detail)).toEqual([expect.stringMatching(/ did\.$/)]);
    }
  });

  it("says that all values are alike", () => {
    expect(findCauses("multiple_variants", breakdowns(versionsWith(100, 110, 95, 104)), [])).toEqual({
      ...noCause,
      detail: "It is the same for every value of sdk_version: look at the assignment itself.",
    });
  });

  it("says nothing where too few are excluded to show a difference", () => {
    expect(
      findCauses(
        "multiple_variants",
        breakdowns(versions(value("10.1.0", 300, 300, { excluded: 10 }), value("10.2.0", 200, 200))),
        [],
      ),
    ).toEqual(noCause);
  });
});

describe("describeSdkVersions", () => {
  it("names the versions with more late identities than their share", () => {
    const late = versions(value("10.1.0", 2000, 1700, { late: 3 }), value("10.2.0", 2000, 1700, { late: 80 }));
    expect(describeSdkVersions("late_events", breakdowns(late), variants)).toBe('especially with SDK version "10.2.0"');
  });

  it("names at most three versions, the worst first, and not all other values", () => {
    const late = versions(
      value("fair", 20_000, 20_000, { late: 10 }),
      ...[80, 90, 100, 110].map((late, index) => value(`bad ${index}`, 100, 100, { late })),
      value(null, 100, 100, { late: 150 }),
    );
    expect(describeSdkVersions("late_events", breakdowns(countries(), late), variants)).toBe(
      'especially with SDK version "bad 3", "bad 2", and "bad 1"',
    );
  });

  it("names the versions with variants that are not configured or have weight 0", () => {
    const some = (version: string, unknown: number) => {
      const one = value(version, 1000, 1000);
      return { ...one, identities: new Map([...one.identities, ["unknown", unknown]]) };
    };
    const unknown = versions(some("10.1.0", 2), some("10.2.0", 70));
    expect(describeSdkVersions("unknown_variants", breakdowns(unknown), variants)).toBe(
      'especially with SDK version "10.2.0"',
    );
  });

  it("counts a variant of weight 0 as not configured", () => {
    const off = versions(value("10.1.0", 2000, 2), value("10.2.0", 2000, 70));
    const weights = [
      { key: "control", weight: 1 },
      { key: "treatment", weight: 0 },
    ];
    expect(describeSdkVersions("unknown_variants", breakdowns(off), weights)).toBe(
      'especially with SDK version "10.2.0"',
    );
  });

  it("compares late identities with all that are not late, excluded ones included", () => {
    const late = versions(
      value("10.1.0", 10, 10, { excluded: 2000, late: 20 }),
      value("10.2.0", 1000, 1000, { excluded: 20, late: 20 }),
    );
    expect(describeSdkVersions("late_events", breakdowns(late), variants)).toBeNull();
  });

  it.each([
    { what: "without versions", dimensions: [countries(value("DE", 10, 10, { late: 9 }))] },
    { what: "with one version", dimensions: [versions(value("10.1.0", 100, 100, { late: 100 }))] },
    {
      what: "if all are alike",
      dimensions: [versions(value("10.1.0", 100, 100, { late: 50 }), value("10.2.0", 100, 100, { late: 55 }))],
    },
    {
      what: "if nothing is late",
      dimensions: [versions(value("10.1.0", 100, 100), value("10.2.0", 100, 100))],
    },
  ])("returns null $what", ({ dimensions }) => {
    expect(describeSdkVersions("late_events", breakdowns(...dimensions), variants)).toBeNull();
  });
});
