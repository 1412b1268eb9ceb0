import { describe, expect, it } from "vitest";
import type { Breakdown, BreakdownValue } from "../../src/exposures/breakdown.ts";
import { HOUR } from "../../src/exposures/buckets.ts";
import { describeSdkVersions, findCauses } from "../../src/exposures/causes.ts";

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
});

describe("findCauses › multiple_variants", () => {
  it("names the value with more excluded identities than the rest", () => {
    const broken = versions(
      value("10.1.0", 2000, 1700, { excluded: 22 }),
      value("10.2.0", 2000, 1700, { excluded: 400 }),
    );
    const { causes } = findCauses("multiple_variants", breakdowns(broken), variants);
    expect(causes).toMatchObject([
      {
        value: "10.2.0",
        excludedIdentities: 400,
        explained: 1,
        isFairWithout: true,
        detail:
          '"10.2.0" (sdk_version): 400 of 4,100 (9.8%) saw several variants; without these, 22 of 3,722 (0.59%) did.',
      },
    ]);
  });
});

describe("describeSdkVersions", () => {
  it("names the versions with more late identities than their share", () => {
    const late = versions(value("10.1.0", 2000, 1700, { late: 3 }), value("10.2.0", 2000, 1700, { late: 80 }));
    expect(describeSdkVersions("late_events", breakdowns(late), variants)).toBe('especially with SDK version "10.2.0"');
  });
});
