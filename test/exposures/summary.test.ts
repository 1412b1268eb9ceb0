import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketsOf, DAY, HOUR, type Window } from "../../src/exposures/buckets.ts";
import { serialise } from "../../src/exposures/serialise.ts";
import { type ExposureCount, identitiesIn, summarise } from "../../src/exposures/summary.ts";
import { anyCharacter } from "../support/arbitrary.ts";
import { unchecked } from "../support/unchecked.ts";

const FROM = Date.UTC(2026, 5, 1);

type Exposures = {
  total_identities: number;
  excluded_identities: number;
  variants: Record<string, number>;
  health: object;
  timeseries: {
    granularity: string;
    points: {
      bucket: string;
      new_identities: Record<string, number>;
      cumulative_identities: Record<string, number>;
    }[];
  };
};

function exposuresJson(counts: readonly ExposureCount[], window: Window, configured: readonly string[]): string {
  return serialise(summarise(counts, window, configured), unchecked);
}

function read(json: string): Exposures {
  return JSON.parse(json);
}

/** The entries of an object in the JSON; in a Map, because its keys may be any text. */
const entries = (object: Record<string, number>) => new Map(Object.entries(object));
const sum = (object: Record<string, number>) => Object.values(object).reduce((total, number) => total + number, 0);

function counted(variant: string, hour: number, identities: number): ExposureCount {
  return { multiple: false, variant, bucket: FROM + hour * HOUR, identities };
}

/** Keys that a careless object literal, sort or JSON writer would lose, reorder or break. */
const AWKWARD = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "1",
  "0",
  "-1",
  "01",
  "$multiple",
  'say "hi"',
  "it's",
  "back\\slash",
  "new\nline",
  "\u0000",
  "\u2028",
  "\ud800",
  "🧪",
  "é",
  "e\u0301",
  " ",
  "a,b",
  "null",
];

const anyKey = fc.oneof(fc.constantFrom(...AWKWARD), fc.string({ unit: anyCharacter, minLength: 1, maxLength: 8 }));

/** A window, the configured keys, and counts that lie inside its buckets. */
const anyInput = fc
  .record({
    from: fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2040, 0) }),
    length: fc.oneof(fc.integer({ min: 1, max: 72 * HOUR }), fc.integer({ min: 72 * HOUR + 1, max: 60 * DAY })),
    configured: fc.uniqueArray(anyKey, { maxLength: 4 }),
  })
  .chain(({ from, length, configured }) => {
    const window = { from, to: from + length };
    const { first, size, count } = bucketsOf(window);
    const identities = fc.integer({ min: 1, max: 1_000_000 });
    const key = configured.length === 0 ? anyKey : fc.oneof(fc.constantFrom(...configured), anyKey);
    const counts = fc.array(
      fc.oneof(
        { weight: 1, arbitrary: fc.record({ multiple: fc.constant(true as const), identities }) },
        {
          weight: 9,
          arbitrary: fc.record({
            multiple: fc.constant(false as const),
            variant: key,
            bucket: fc.integer({ min: 0, max: count - 1 }).map((index) => first + index * size),
            identities,
          }),
        },
      ),
      { maxLength: 40 },
    );
    return fc.record({ window: fc.constant(window), configured: fc.constant(configured), counts });
  });

describe("summarise and serialise", () => {
  it("return the documented shape, with new and cumulative identities in each bucket", () => {
    const counts = [
      counted("control", 0, 9),
      counted("treatment", 0, 11),
      counted("control", 2, 1),
      { multiple: true, identities: 7 } as const,
    ];
    const json = exposuresJson(counts, { from: FROM, to: FROM + 3 * HOUR }, ["control", "treatment"]);
    expect(JSON.parse(json)).toEqual({
      total_identities: 21,
      excluded_identities: 7,
      variants: { control: 10, treatment: 11 },
      health: { status: "healthy", checks: [] },
      timeseries: {
        granularity: "hour",
        points: [
          {
            bucket: "2026-06-01T00:00:00.000Z",
            new_identities: { control: 9, treatment: 11 },
            cumulative_identities: { control: 9, treatment: 11 },
          },
          {
            bucket: "2026-06-01T01:00:00.000Z",
            new_identities: { control: 0, treatment: 0 },
            cumulative_identities: { control: 9, treatment: 11 },
          },
          {
            bucket: "2026-06-01T02:00:00.000Z",
            new_identities: { control: 1, treatment: 0 },
            cumulative_identities: { control: 10, treatment: 11 },
          },
        ],
      },
    });
  });

  it("write the keys in the documented order", () => {
    const json = exposuresJson([], { from: FROM, to: FROM + HOUR }, ["a"]);
    expect(json).toBe(
      '{"total_identities":0,"excluded_identities":0,"variants":{"a":0},' +
        '"health":{"status":"healthy","checks":[]},"timeseries":{"granularity":"hour",' +
        '"points":[{"bucket":"2026-06-01T00:00:00.000Z","new_identities":{"a":0},"cumulative_identities":{"a":0}}]}}',
    );
  });

  it("count identities with several variants only as excluded", () => {
    const excluded: ExposureCount[] = [
      { multiple: true, identities: 3 },
      { multiple: true, identities: 4 },
    ];
    const exposures = read(exposuresJson(excluded, { from: FROM, to: FROM + HOUR }, ["a"]));
    expect(exposures).toMatchObject({ total_identities: 0, excluded_identities: 7, variants: { a: 0 } });
    expect(exposures.timeseries.points.map((point) => point.cumulative_identities)).toEqual([{ a: 0 }]);
  });

  it("distinguish a variant named $multiple from excluded identities", () => {
    const counts = [counted("$multiple", 0, 5), { multiple: true, identities: 2 } as const];
    const exposures = read(exposuresJson(counts, { from: FROM, to: FROM + HOUR }, []));
    expect(exposures).toMatchObject({ total_identities: 5, excluded_identities: 2, variants: { $multiple: 5 } });
  });

  it("write zeros in every bucket for a configured variant without identities", () => {
    const exposures = read(exposuresJson([counted("a", 1, 2)], { from: FROM, to: FROM + 2 * HOUR }, ["a", "idle"]));
    expect(exposures.variants).toEqual({ a: 2, idle: 0 });
    expect(exposures.timeseries.points.map((point) => point.new_identities["idle"])).toEqual([0, 0]);
    expect(exposures.timeseries.points.map((point) => point.cumulative_identities["idle"])).toEqual([0, 0]);
  });

  it("return one number per bucket for each variant", () => {
    const { variants } = summarise([counted("seen", 1, 2)], { from: FROM, to: FROM + 3 * HOUR }, ["idle"]);
    expect([...variants]).toEqual([
      ["idle", { total: 0, added: [0, 0, 0] }],
      ["seen", { total: 2, added: [0, 2, 0] }],
    ]);
  });

  it("write zeros in every bucket without counts", () => {
    const exposures = read(exposuresJson([], { from: FROM, to: FROM + 10 * DAY }, ["a", "b"]));
    expect(exposures.timeseries.granularity).toBe("day");
    expect(exposures.timeseries.points).toHaveLength(10);
    for (const point of exposures.timeseries.points) expect(point.new_identities).toEqual({ a: 0, b: 0 });
  });

  it("write buckets without variants if none is configured or seen", () => {
    const exposures = read(exposuresJson([], { from: FROM, to: FROM + HOUR }, []));
    expect(exposures.variants).toEqual({});
    expect(exposures.timeseries.points).toEqual([
      { bucket: "2026-06-01T00:00:00.000Z", new_identities: {}, cumulative_identities: {} },
    ]);
  });

  it("write no points, but every configured variant, for an empty window", () => {
    const exposures = read(exposuresJson([], { from: FROM, to: FROM }, ["a"]));
    expect(exposures).toMatchObject({ total_identities: 0, variants: { a: 0 }, timeseries: { points: [] } });
  });

  it("keep configured variants in order and append unconfigured ones, sorted", () => {
    const counts = ["b", "zebra", "Ärger", "a", "10", "9"].map((variant) => counted(variant, 0, 1));
    const json = exposuresJson(counts, { from: FROM, to: FROM + HOUR }, ["b", "9", "idle"]);
    const written = '{"b":1,"9":1,"idle":0,"10":1,"a":1,"zebra":1,"Ärger":1}';
    expect(json).toContain(`"variants":${written},"health"`);
    expect(json).toContain(`"new_identities":${written},"cumulative_identities":${written}`);
  });

  it("add up several counts of one variant and bucket", () => {
    const counts = [counted("a", 0, 1), counted("a", 0, 2), counted("a", 1, 4)];
    const exposures = read(exposuresJson(counts, { from: FROM, to: FROM + 2 * HOUR }, []));
    expect(exposures.timeseries.points.map((point) => point.new_identities)).toEqual([{ a: 3 }, { a: 4 }]);
    expect(exposures.total_identities).toBe(7);
  });

  it("start the first bucket at the hour, not at the start of the window", () => {
    const exposures = read(
      exposuresJson([counted("a", 0, 1)], { from: FROM + 59 * 60_000, to: FROM + 61 * 60_000 }, []),
    );
    expect(exposures.timeseries.points.map(({ bucket, new_identities }) => [bucket, new_identities])).toEqual([
      ["2026-06-01T00:00:00.000Z", { a: 1 }],
      ["2026-06-01T01:00:00.000Z", { a: 0 }],
    ]);
  });

  it("do not modify the counts and the configured keys", () => {
    const counts = Object.freeze([Object.freeze(counted("b", 0, 1)), Object.freeze(counted("a", 0, 1))]);
    expect(() => exposuresJson(counts, { from: FROM, to: FROM + HOUR }, Object.freeze(["z"]))).not.toThrow();
  });

  it("agree on the total, the sum of the variants and the last cumulative point", () => {
    fc.assert(
      fc.property(anyInput, ({ window, configured, counts }) => {
        const exposures = read(exposuresJson(counts, window, configured));
        const { points } = exposures.timeseries;
        const identities = (multiple: boolean) =>
          counts.filter((count) => count.multiple === multiple).reduce((total, count) => total + count.identities, 0);
        expect(exposures.total_identities).toBe(identities(false));
        expect(exposures.excluded_identities).toBe(identities(true));
        expect(sum(exposures.variants)).toBe(exposures.total_identities);
        const last = points.at(-1);
        expect(last && entries(last.cumulative_identities)).toEqual(entries(exposures.variants));
        expect(points.reduce((total, point) => total + sum(point.new_identities), 0)).toBe(exposures.total_identities);
      }),
    );
  });

  it("write consecutive buckets with every variant, and carry cumulative counts forward", () => {
    fc.assert(
      fc.property(anyInput, ({ window, configured, counts }) => {
        const { variants, timeseries } = read(exposuresJson(counts, window, configured));
        const keys = new Set(Object.keys(variants));
        const seen = counts.flatMap((count) => (count.multiple ? [] : [count.variant]));
        expect(keys).toEqual(new Set([...configured, ...seen]));
        const { first, size, count } = bucketsOf(window);
        expect(timeseries.points).toHaveLength(count);
        const cumulative = new Map([...keys].map((key) => [key, 0]));
        timeseries.points.forEach(({ bucket, new_identities, cumulative_identities }, index) => {
          expect(Date.parse(bucket)).toBe(first + index * size);
          const added = entries(new_identities);
          for (const key of keys) cumulative.set(key, (cumulative.get(key) ?? 0) + (added.get(key) ?? Number.NaN));
          expect(entries(cumulative_identities)).toEqual(cumulative);
        });
      }),
    );
  });

  it("return the same bytes for any order of the counts", () => {
    const shuffled = anyInput.chain(({ window, configured, counts }) =>
      fc.record({
        window: fc.constant(window),
        configured: fc.constant(configured),
        counts: fc.constant(counts),
        reordered: fc.shuffledSubarray(counts, { minLength: counts.length, maxLength: counts.length }),
      }),
    );
    fc.assert(
      fc.property(shuffled, ({ window, configured, counts, reordered }) => {
        expect(exposuresJson(reordered, window, configured)).toBe(exposuresJson(counts, window, configured));
      }),
    );
  });
});

describe("a variant's key", () => {
  const window = { from: FROM, to: FROM + 2 * HOUR };

  it.each(AWKWARD.map((key) => ({ key, name: JSON.stringify(key) })))("is preserved if it is $name", ({ key }) => {
    for (const configured of [[key, "other"], []]) {
      const exposures = read(exposuresJson([counted(key, 1, 3)], window, configured));
      const rest = configured.length === 0 ? [] : [["other", 0] as const];
      expect(entries(exposures.variants)).toEqual(new Map([[key, 3], ...rest]));
      const [first, second] = exposures.timeseries.points;
      expect(first && entries(first.new_identities)).toEqual(new Map([[key, 0], ...rest]));
      expect(second && entries(second.new_identities)).toEqual(new Map([[key, 3], ...rest]));
      expect(second && entries(second.cumulative_identities)).toEqual(new Map([[key, 3], ...rest]));
    }
  });

  it("is preserved beside all other awkward keys", () => {
    const counts = AWKWARD.map((key, index) => counted(key, index % 2, index + 1));
    const exposures = read(exposuresJson(counts, window, AWKWARD.slice(0, 5)));
    expect(entries(exposures.variants)).toEqual(new Map(AWKWARD.map((key, index) => [key, index + 1])));
  });

  it("is preserved for any text", () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyKey, { maxLength: 12 }), (keys) => {
        const counts = keys.map((key, index) => counted(key, 0, index + 1));
        const exposures = read(exposuresJson(counts, window, keys.slice(0, 3)));
        expect(entries(exposures.variants)).toEqual(new Map(keys.map((key, index) => [key, index + 1])));
      }),
    );
  });
});

it("identitiesIn counts identities of all variants, excluded ones included", () => {
  const collection = { latestExposureAt: null, lateIdentities: 0, invalidEvents: 0, events: 0 };
  const counts: ExposureCount[] = [
    { multiple: false, variant: "a", bucket: FROM, identities: 3 },
    { multiple: false, variant: "b", bucket: FROM, identities: 4 },
    { multiple: true, identities: 5 },
  ];
  expect(identitiesIn({ counts, collection })).toBe(12);
  expect(identitiesIn({ counts: [], collection })).toBe(0);
});
