import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Breakdown, BreakdownValue } from "../../src/exposures/breakdown.ts";
import { HOUR } from "../../src/exposures/buckets.ts";
import { type CauseReport, describeSdkVersions, findCauses } from "../../src/exposures/causes.ts";
import { pValueOf, splitDeviation } from "../../src/exposures/deviation.ts";

/** `SEED=… npm test -- test/exposures/causes` uses another seed. A failure prints its seed. */
const seed = Number(process.env["SEED"] ?? 20261124);

const variants = [
  { key: "control", weight: 1 },
  { key: "treatment", weight: 1 },
];
const START = Date.UTC(2026, 5, 3);

type Figures = { excluded?: number; late?: number };

/** A value with identities in control and treatment. */
function value(value: string | null, control: number, treatment: number, figures: Figures = {}): BreakdownValue {
  const identities = new Map([
    ["control", control],
    ["treatment", treatment],
  ]);
  return { value, identities, counted: control + treatment, excluded: figures.excluded ?? 0, late: figures.late ?? 0 };
}

/** Buckets of an hour each. */
function hours(count: number, splitOf: (hour: number) => [number, number]): Breakdown {
  const values = Array.from({ length: count }, (_, hour) => value(String(START + hour * HOUR), ...splitOf(hour)));
  return { dimension: "first_exposure", values };
}

const versions = (...values: BreakdownValue[]): Breakdown => ({ dimension: "sdk_version", values });
const countries = (...values: BreakdownValue[]): Breakdown => ({ dimension: "traits.country", values });
const noCause: CauseReport = { causes: [], beganAt: null, detail: "No single value explains it." };
const breakdowns = (...dimensions: Breakdown[]) => ({ splitFrom: START, dimensions });

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
    expect(detail).toBe('"10.2.0" (sdk_version) explains it.');
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
    expect(report.detail).toBe("The time from 2026-06-03 14:00 UTC on explains it. It began at 2026-06-03 14:00 UTC.");
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
    expect(detail).toBe('"worse" (sdk_version) and "bad" (sdk_version) explain it.');
  });

  it("says that a part is not explained", () => {
    const both = versions(value("fair", 52_000, 50_000), value("10.2.0", 5000, 3000));
    expect(findCauses("sample_ratio", breakdowns(both), variants)).toMatchObject({
      causes: [{ value: "10.2.0", isFairWithout: false, explained: 0.5 }],
      detail: '"10.2.0" (sdk_version) explains a part of it: mend this first, then look again.',
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
      "All other values (sdk_version) explains it.",
    );
    const hostile = versions(value("10.1.0", 5000, 5000), value(`</script>\u202e${"x".repeat(50)}`, 1200, 800));
    expect(findCauses("sample_ratio", breakdowns(hostile), variants).detail).toBe(
      `"</script>\ufffd${"x".repeat(29)}…" (sdk_version) explains it.`,
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

describe("findCauses › first_exposure", () => {
  const fair: [number, number] = [300, 300];

  it.each([
    { what: "a single hour", from: 14, to: 15, name: "The time from 2026-06-03 14:00 UTC to 2026-06-03 15:00 UTC" },
    { what: "the first hours", from: 0, to: 3, name: "The time before 2026-06-03 03:00 UTC" },
    { what: "the last hour", from: 23, to: 24, name: "The time from 2026-06-03 23:00 UTC on" },
  ])("names $what", ({ from, to, name }) => {
    const time = hours(24, (hour) => (hour >= from && hour < to ? [600, 300] : fair));
    const { causes, beganAt } = findCauses("sample_ratio", breakdowns(time), variants);
    expect(causes).toMatchObject([{ value: String(START + from * HOUR), isFairWithout: true }]);
    expect(causes[0]?.detail.startsWith(`${name}: `)).toBe(true);
    expect(beganAt).toBe(to === 24 ? START + from * HOUR : null);
  });

  it("names two periods", () => {
    const time = hours(48, (hour) => ([5, 6, 30].includes(hour) ? [600, 200] : fair));
    const { causes } = findCauses("sample_ratio", breakdowns(time), variants);
    expect(causes.map(({ value, identities }) => [value, identities.get("control")])).toEqual([
      [String(START + 5 * HOUR), 1200],
      [String(START + 30 * HOUR), 600],
    ]);
  });

  it("names the version, and says when it began", () => {
    const time = hours(24, (hour) => (hour < 14 ? fair : [400, 300]));
    const release = versions(value("10.1.0", 6300, 6300), value("10.2.0", 1900, 900));
    expect(findCauses("sample_ratio", breakdowns(release, time), variants)).toMatchObject({
      causes: [{ dimension: "sdk_version", value: "10.2.0" }],
      beganAt: START + 14 * HOUR,
      detail: '"10.2.0" (sdk_version) explains it. It began at 2026-06-03 14:00 UTC.',
    });
  });

  it("does not say that it began where it was off before", () => {
    const time = hours(24, (hour) => (hour < 14 ? [345, 300] : [600, 300]));
    expect(findCauses("sample_ratio", breakdowns(time), variants)).toMatchObject({
      causes: [{ value: String(START + 14 * HOUR), isFairWithout: false }],
      beganAt: null,
    });
  });
});

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

  it("names the values above the rest, not the one below", () => {
    const { causes } = findCauses("multiple_variants", breakdowns(versionsWith(400, 400, 400, 0)), []);
    expect(causes.map(({ value }) => value)).toEqual(["10.0.0", "10.1.0", "10.2.0"]);
  });

  it("names a period, and says when it began", () => {
    const time = hours(24, () => [300, 300]);
    const values = time.values.map((one, hour) => ({ ...one, excluded: hour < 20 ? 1 : 40 }));
    expect(findCauses("multiple_variants", breakdowns({ ...time, values }), [])).toMatchObject({
      causes: [{ value: String(START + 20 * HOUR), excludedIdentities: 160 }],
      beganAt: START + 20 * HOUR,
    });
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

describe("findCauses › both checks", () => {
  /** Three dimensions of the same identities, by a table of all combinations. */
  const anyRow = fc.record({
    places: fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 4 }), fc.nat({ max: 5 })),
    control: fc.nat({ max: 3000 }),
    treatment: fc.nat({ max: 3000 }),
    excluded: fc.nat({ max: 200 }),
  });
  const anyBreakdowns = fc.array(anyRow, { minLength: 2, maxLength: 20 }).map((rows) => {
    const sum = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);
    const dimensions = [
      { dimension: "sdk_version", count: 4 },
      { dimension: "traits.country", count: 5 },
      { dimension: "first_exposure", count: 6 },
    ].map(({ dimension, count }, index): Breakdown => {
      const values = Array.from({ length: count }, (_, place) => {
        const here = rows.filter(({ places }) => places[index] === place);
        const [controls, treatments] = [here.map(({ control }) => control), here.map(({ treatment }) => treatment)];
        const excluded = sum(here.map(({ excluded }) => excluded));
        return value(String(START + place * HOUR), sum(controls), sum(treatments), { excluded });
      });
      return { dimension, values };
    });
    return breakdowns(...dimensions);
  });
  const anyCheck = fc.constantFrom("sample_ratio" as const, "multiple_variants" as const);

  it("name at most five causes, each of which explains a part and is certain", () => {
    fc.assert(
      fc.property(anyCheck, anyBreakdowns, (check, any) => {
        const { causes } = findCauses(check, any, variants);
        expect(causes.length).toBeLessThanOrEqual(5);
        for (const cause of causes) {
          expect(cause.explained).toBeGreaterThanOrEqual(0.1);
          expect(cause.explained).toBeLessThanOrEqual(1);
          expect(cause.pValue).toBeGreaterThan(0);
          expect(cause.pValue).toBeLessThan(0.001);
          expect(cause.dimension).toBe(causes[0]?.dimension);
        }
      }),
      { seed },
    );
  });

  it("do not depend on the order of dimensions, values and variants", () => {
    fc.assert(
      fc.property(anyCheck, anyBreakdowns, (check, any) => {
        const dimensions = any.dimensions
          .map(({ dimension, values }) => ({
            dimension,
            values: dimension === "first_exposure" ? values : values.toReversed(),
          }))
          .toReversed();
        const one = findCauses(check, any, variants);
        // Which of several dimensions with the same identities is named does depend on the order.
        fc.pre(one.causes.every(({ sameAs }) => sameAs.length === 0));
        const other = findCauses(check, { ...any, dimensions }, variants.toReversed());
        const figuresOf = ({ causes }: CauseReport) =>
          causes.map(({ dimension, value, explained }) => [dimension, value, explained.toFixed(9)]);
        expect(figuresOf(other)).toEqual(figuresOf(one));
        expect(other.beganAt).toBe(one.beganAt);
      }),
      { seed },
    );
  });

  it("name at least the same values of a dimension for ten times the identities", () => {
    const tenfold = (one: BreakdownValue): BreakdownValue => ({
      ...one,
      identities: new Map([...one.identities].map(([key, count]) => [key, 10 * count])),
      counted: 10 * one.counted,
      excluded: 10 * one.excluded,
    });
    fc.assert(
      fc.property(anyCheck, anyBreakdowns, (check, { dimensions: [breakdown] }) => {
        if (breakdown === undefined) return;
        const { causes } = findCauses(check, breakdowns(breakdown), variants);
        const more = findCauses(
          check,
          breakdowns({ ...breakdown, values: breakdown.values.map(tenfold) }),
          variants,
        ).causes;
        expect(more.slice(0, causes.length).map(({ value }) => value)).toEqual(causes.map(({ value }) => value));
      }),
      { seed },
    );
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
