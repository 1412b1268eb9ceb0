import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketsOf, DAY, HOUR, type Window } from "../../src/exposures/buckets.ts";
import { checkHealth } from "../../src/exposures/check-health.ts";
import { restoreExposures } from "../../src/exposures/restore.ts";
import { serialise } from "../../src/exposures/serialise.ts";
import { type ExposureCount, summarise } from "../../src/exposures/summary.ts";

/** As a refresh stores it. */
function textOf(counts: readonly ExposureCount[], window: Window, configured: readonly string[]): string {
  const summary = summarise(counts, window, configured);
  const variants = configured.map((key, index) => ({ key, weight: index }));
  const collection = { latestExposureAt: window.from, lateIdentities: 1, invalidEvents: 2, events: 30 };
  const isRunning = true;
  return serialise(summary, checkHealth({ window, isRunning, variants, summary, collection, eventsTtlDays: 90 }));
}

const START = Date.UTC(2026, 0, 1, 10, 30);
const KEYS = ["control", "treatment", "10", "2", "__proto__", "constructor", "toString", "$multiple", "ключ", 'a"b'];

/** A window, its counts and the configured variants, as a refresh has them. */
const computed = fc
  .record({
    length: fc.oneof(fc.constantFrom(1, HOUR, 72 * HOUR, 72 * HOUR + 1), fc.integer({ min: 1, max: 9 * DAY })),
    configured: fc.uniqueArray(fc.constantFrom(...KEYS), { maxLength: 4 }),
    excluded: fc.nat(50),
    counts: fc.array(
      fc.record({
        variant: fc.constantFrom(...KEYS),
        at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        identities: fc.nat(1000),
      }),
      { maxLength: 30 },
    ),
  })
  .map(({ length, configured, excluded, counts }) => {
    const window = { from: START, to: START + length };
    const { first, size, count } = bucketsOf(window);
    const rows: ExposureCount[] = counts.map(({ variant, at, identities }) => {
      return { multiple: false, variant, bucket: first + Math.floor(at * count) * size, identities };
    });
    rows.push({ multiple: true, identities: excluded });
    return { window, configured, text: textOf(rows, window, configured) };
  });

describe("restore", () => {
  it("gives the very text back that became JSON", () => {
    fc.assert(
      fc.property(computed, ({ window, configured, text }) => {
        expect(restoreExposures(JSON.parse(text), window, configured)).toBe(text);
      }),
    );
  });

  it("keeps the variants of a time when others were configured, in the order of a refresh", () => {
    const window = { from: START, to: START + HOUR };
    const text = textOf([], window, ["b", "c", "a"]);
    const keysOf = (configured: string[]) => {
      const { variants, health } = JSON.parse(restoreExposures(JSON.parse(text), window, configured) ?? "");
      return { variants: Object.keys(variants), expected: Object.keys(health.checks[0].expected) };
    };
    expect(keysOf(["new", "c"])).toEqual({ variants: ["c", "a", "b"], expected: ["c", "a"] });
    expect(keysOf([])).toEqual({ variants: ["a", "b", "c"], expected: ["a", "c"] });
  });

  it("takes JSON in any order of its keys", () => {
    const window = { from: START, to: START + HOUR };
    const text = textOf([{ multiple: true, identities: 3 }], window, ["a"]);
    const { timeseries, ...rest } = JSON.parse(text);
    expect(restoreExposures({ timeseries, ...rest }, window, ["a"])).toBe(text);
  });

  it("notices any number that is another", () => {
    fc.assert(
      fc.property(computed, fc.nat(), fc.constantFrom(-1, 1, 0.5), ({ window, configured, text }, which, by) => {
        // What the checks found rests on more than the numbers.
        const health = { from: text.indexOf('"health"'), to: text.indexOf('"timeseries"') };
        const numbers = [...text.matchAll(/(?<=[:])\d+(?=[,}])/g)];
        const number = numbers[which % numbers.length];
        if (number === undefined || (number.index > health.from && number.index < health.to)) return;
        // The excluded identities stand for themselves: any count is as good as another.
        const isExcluded = text.slice(0, number.index).endsWith('"excluded_identities":');
        if (isExcluded && Number.isInteger(by) && Number(number[0]) + by >= 0) return;
        const other = `${text.slice(0, number.index)}${Number(number[0]) + by}${text.slice(number.index + number[0].length)}`;
        expect(restoreExposures(JSON.parse(other), window, configured)).toBeNull();
      }),
    );
  });

  const window = { from: START, to: START + 2 * HOUR };
  const good = () => JSON.parse(textOf([], window, ["a"]));
  it.each([
    { what: "null", broken: null },
    { what: "text", broken: "exposures" },
    { what: "a list", broken: [] },
    { what: "an empty object", broken: {} },
    { what: "points that are no list", broken: { ...good(), timeseries: { granularity: "hour", points: "many" } } },
    {
      what: "a point too few",
      broken: { ...good(), timeseries: { ...good().timeseries, points: good().timeseries.points.slice(1) } },
    },
    { what: "a point that is none", broken: { ...good(), timeseries: { ...good().timeseries, points: [1, 2, 3] } } },
    { what: "another granularity", broken: { ...good(), timeseries: { ...good().timeseries, granularity: "day" } } },
    { what: "a field more", broken: { ...good(), more: 1 } },
    { what: "a field more in a point", broken: { ...good(), timeseries: { ...good().timeseries, more: 1 } } },
    { what: "negative identities that add up", broken: negative() },
    { what: "excluded identities below zero", broken: { ...good(), excluded_identities: -1 } },
    { what: "excluded identities beyond what is exact", broken: { ...good(), excluded_identities: 2 ** 53 } },
    { what: "lists in place of objects", broken: { ...good(), variants: [0] } },
  ])("refuses $what", ({ broken }) => {
    expect(restoreExposures(good(), window, ["a"])).not.toBeNull();
    expect(restoreExposures(broken, window, ["a"])).toBeNull();
  });

  // Without a variant much is empty, and so much the same as emptiness of another kind.
  const empty = () => JSON.parse(textOf([], window, []));
  const [point] = empty().timeseries.points;
  const withPoints = (points: unknown) => ({ ...empty(), timeseries: { ...empty().timeseries, points } });
  it.each([
    { what: "no variants as null", broken: { ...empty(), variants: null } },
    { what: "no variants as a number", broken: { ...empty(), variants: 0 } },
    { what: "no variants as a list", broken: { ...empty(), variants: [] } },
    {
      what: "no new identities as text",
      broken: withPoints([point, { ...empty().timeseries.points[1], new_identities: "" }]),
    },
    { what: "an empty object in place of a number", broken: { ...empty(), total_identities: {} } },
    { what: "points as a number", broken: withPoints(2) },
    { what: "no points", broken: { ...empty(), timeseries: { granularity: "hour" } } },
  ])("refuses $what, where there is no variant", ({ broken }) => {
    expect(restoreExposures(empty(), window, [])).not.toBeNull();
    expect(restoreExposures(broken, window, [])).toBeNull();
  });

  it("refuses the numbers of another window", () => {
    for (const to of [START + 3 * HOUR, START + 5 * DAY, START])
      expect(restoreExposures(good(), { from: START, to }, ["a"])).toBeNull();
    expect(restoreExposures(good(), { from: START + DAY, to: START + DAY + 2 * HOUR }, ["a"])).toBeNull();
  });

  function negative() {
    const { first, size } = bucketsOf(window);
    const counts = [-1, 1].map((identities, index): ExposureCount => {
      return { multiple: false, variant: "a", bucket: first + index * size, identities };
    });
    return JSON.parse(textOf(counts, window, ["a"]));
  }
});
