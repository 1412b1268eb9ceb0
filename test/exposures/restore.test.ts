import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketsOf, DAY, HOUR, type Window } from "../../src/exposures/buckets.ts";
import { checkHealth } from "../../src/exposures/check-health.ts";
import { checkStatuses, worstStatus } from "../../src/exposures/health.ts";
import { restoreExposures, restoreHealth } from "../../src/exposures/restore.ts";
import { reweightExposures } from "../../src/exposures/reweight.ts";
import { serialise } from "../../src/exposures/serialise.ts";
import { type ExposureCount, summarise } from "../../src/exposures/summary.ts";

/** The text that a refresh stores. */
function textOf(
  counts: readonly ExposureCount[],
  window: Window,
  configured: readonly string[],
  weightsChangedAt: number | null = null,
): string {
  const summary = summarise(counts, window, configured);
  const variants = configured.map((key, index) => ({ key, weight: index }));
  const collection = { latestExposureAt: window.from, lateIdentities: 1, invalidEvents: 2, events: 30 };
  const constant = { countedAt: window.to, isRunning: true, eventsTtlDays: 90 };
  return serialise(summary, checkHealth({ ...constant, window, variants, weightsChangedAt, summary, collection }));
}

const START = Date.UTC(2026, 0, 1, 10, 30);
const KEYS = ["control", "treatment", "10", "2", "__proto__", "constructor", "toString", "$multiple", "ключ", 'a"b'];

/** A window, the configured variants, and the text that a refresh stores for random counts. */
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
    return { window, configured, rows, text: textOf(rows, window, configured) };
  });

describe("reweightExposures", () => {
  it("returns the text that a count with the other variants, and the time of their change, would have stored", () => {
    const variants = fc.uniqueArray(fc.constantFrom(...KEYS), { maxLength: 4 });
    const changedAfter = fc.option(fc.integer({ min: -HOUR, max: 2 * DAY }));
    fc.assert(
      fc.property(computed, variants, changedAfter, (stored, configured, after) => {
        const { window, rows } = stored;
        const weightsChangedAt = after === null ? null : START + after;
        const seen = rows.filter(({ identities }) => identities > 0);
        const variants = configured.map((key, index) => ({ key, weight: index }));
        const before = textOf(seen, window, stored.configured);
        const reweighted = reweightExposures(before, window, { variants, weightsChangedAt });
        expect(reweighted).toBe(textOf(seen, window, configured, weightsChangedAt));
      }),
    );
  });

  it("keeps the checks of another version, and adds none", () => {
    const window = { from: START, to: START + HOUR };
    const exposures = JSON.parse(textOf([], window, ["a"]));
    const another = { name: "of_tomorrow", status: "unhealthy", detail: "It is off.", share: 1 };
    exposures.health = { status: "unhealthy", checks: [another] };
    const reweighted = reweightExposures(JSON.stringify(exposures), window, {
      variants: [{ key: "b", weight: 1 }],
      weightsChangedAt: null,
    });
    expect(JSON.parse(reweighted ?? "null")).toMatchObject({ variants: { b: 0 }, health: exposures.health });
  });

  it("returns null if the numbers can't be restored, or are too large with the variants", () => {
    const window = { from: START, to: START + HOUR };
    const text = textOf([], window, ["a"]);
    const variants = [{ key: "x".repeat(1_000_000), weight: 1 }];
    const none = { variants: [], weightsChangedAt: null };
    expect(reweightExposures(text, window, { ...none, variants })).toBeNull();
    expect(reweightExposures(text, { from: START, to: START + 5 * DAY }, none)).toBeNull();
    expect(reweightExposures(JSON.stringify({ ...JSON.parse(text), health: null }), window, none)).toBeNull();
  });
});

describe("restoreExposures", () => {
  it("returns the original text from its parsed JSON", () => {
    fc.assert(
      fc.property(computed, ({ window, configured, text }) => {
        expect(restoreExposures(JSON.parse(text), window, configured)).toBe(text);
      }),
    );
  });

  it("keeps checks of another version, and needs none", () => {
    // Without -0, which JSON.stringify does not keep.
    const json = fc.jsonValue().map((value): unknown => JSON.parse(JSON.stringify(value)));
    const figure = fc.oneof(json, fc.constant({ control: 1, "10": 2 }), fc.constant([{ dimension: "a" }]));
    const unknown = fc.record({
      name: fc.constantFrom("of_tomorrow", "__proto__", 'a"b', ""),
      status: fc.constantFrom(...checkStatuses),
      detail: fc.string(),
      'fig"ure': figure,
    });
    fc.assert(
      fc.property(computed, fc.nat(7), unknown, fc.nat(8), ({ window, configured, text }, missing, extra, place) => {
        const exposures = JSON.parse(text);
        const { checks } = exposures.health;
        checks.splice(missing, 1);
        checks.splice(place, 0, extra);
        exposures.health.status = worstStatus(checks);
        const restored = restoreExposures(exposures, window, configured);
        expect(JSON.parse(restored ?? "null")).toEqual(exposures);
      }),
    );
  });

  it("keeps causes, with the variants of each in order, until other weights apply", () => {
    const window = { from: START, to: START + HOUR };
    const variants = ["b", "10", "2"].map((key) => ({ key, weight: 1 }));
    const summary = summarise([], window, ["b", "10", "2"]);
    const health = checkHealth({
      window,
      countedAt: window.to,
      isRunning: true,
      variants,
      weightsChangedAt: null,
      summary,
      eventsTtlDays: 90,
      collection: { latestExposureAt: window.from, lateIdentities: 0, invalidEvents: 0, events: 0 },
    });
    const identities = new Map([...variants.map(({ key }): [string, number] => [key, 1]), ["", 2]]);
    const causes = [{ dimension: "sdk_version", value: "1.0", identities, same_as: [], is_fair_without: true }];
    const breakdown = { dimension: "sdk_version", values: [{ value: null, identities }] };
    const checks = health.checks.map((check) =>
      check.name === "sample_ratio" ? { ...check, figures: { ...check.figures, causes, breakdown } } : check,
    );
    const text = serialise(summary, { ...health, checks });
    expect(text).toContain('"identities":{"b":1,"10":1,"2":1,"":2}');
    expect(restoreExposures(JSON.parse(text), window, ["b", "10", "2"])).toBe(text);
    const reweighted = reweightExposures(text, window, { variants, weightsChangedAt: null });
    expect(reweighted).toBe(serialise(summary, health));
  });

  it("keeps variants that are no longer configured, in the order of a refresh", () => {
    const window = { from: START, to: START + HOUR };
    const text = textOf([], window, ["b", "c", "a"]);
    const keysOf = (configured: string[]) => {
      const { variants, health } = JSON.parse(restoreExposures(JSON.parse(text), window, configured) ?? "");
      return { variants: Object.keys(variants), expected: Object.keys(health.checks[0].expected) };
    };
    expect(keysOf(["new", "c"])).toEqual({ variants: ["c", "a", "b"], expected: ["c", "a"] });
    expect(keysOf([])).toEqual({ variants: ["a", "b", "c"], expected: ["a", "c"] });
  });

  it("accepts keys in any order", () => {
    const window = { from: START, to: START + HOUR };
    const text = textOf([{ multiple: true, identities: 3 }], window, ["a"]);
    const { timeseries, ...rest } = JSON.parse(text);
    expect(restoreExposures({ timeseries, ...rest }, window, ["a"])).toBe(text);
  });

  it("returns null when any number differs", () => {
    fc.assert(
      fc.property(computed, fc.nat(), fc.constantFrom(-1, 1, 0.5), ({ window, configured, text }, position, change) => {
        // The figures of the checks depend on more than these numbers.
        const health = { from: text.indexOf('"health"'), to: text.indexOf('"timeseries"') };
        const numbers = [...text.matchAll(/(?<=[:])\d+(?=[,}])/g)];
        const number = numbers[position % numbers.length];
        if (number === undefined || (number.index > health.from && number.index < health.to)) return;
        // No other number depends on the excluded identities, so any count is valid.
        const isExcluded = text.slice(0, number.index).endsWith('"excluded_identities":');
        if (isExcluded && Number.isInteger(change) && Number(number[0]) + change >= 0) return;
        const changed = `${text.slice(0, number.index)}${Number(number[0]) + change}${text.slice(number.index + number[0].length)}`;
        expect(restoreExposures(JSON.parse(changed), window, configured)).toBeNull();
      }),
    );
  });

  const window = { from: START, to: START + 2 * HOUR };
  const valid = () => JSON.parse(textOf([], window, ["a"]));
  it.each([
    { input: "null", invalid: null },
    { input: "a string", invalid: "exposures" },
    { input: "a list", invalid: [] },
    { input: "an empty object", invalid: {} },
    {
      input: "points that are not a list",
      invalid: { ...valid(), timeseries: { granularity: "hour", points: "many" } },
    },
    {
      input: "a missing point",
      invalid: { ...valid(), timeseries: { ...valid().timeseries, points: valid().timeseries.points.slice(1) } },
    },
    {
      input: "points that are numbers",
      invalid: { ...valid(), timeseries: { ...valid().timeseries, points: [1, 2, 3] } },
    },
    {
      input: "another granularity",
      invalid: { ...valid(), timeseries: { ...valid().timeseries, granularity: "day" } },
    },
    { input: "an unknown field", invalid: { ...valid(), more: 1 } },
    {
      input: "an unknown field in the time series",
      invalid: { ...valid(), timeseries: { ...valid().timeseries, more: 1 } },
    },
    { input: "negative identities with a correct sum", invalid: negative() },
    { input: "excluded identities below zero", invalid: { ...valid(), excluded_identities: -1 } },
    { input: "excluded identities above the safe integers", invalid: { ...valid(), excluded_identities: 2 ** 53 } },
    { input: "lists in place of objects", invalid: { ...valid(), variants: [0] } },
  ])("returns null for $input", ({ invalid }) => {
    expect(restoreExposures(valid(), window, ["a"])).not.toBeNull();
    expect(restoreExposures(invalid, window, ["a"])).toBeNull();
  });

  // Without variants, many objects are empty and easily confused with other empty values.
  const empty = () => JSON.parse(textOf([], window, []));
  const [point] = empty().timeseries.points;
  const withPoints = (points: unknown) => ({ ...empty(), timeseries: { ...empty().timeseries, points } });
  it.each([
    { input: "variants that are null", invalid: { ...empty(), variants: null } },
    { input: "variants that are a number", invalid: { ...empty(), variants: 0 } },
    { input: "variants that are a list", invalid: { ...empty(), variants: [] } },
    {
      input: "new identities that are text",
      invalid: withPoints([point, { ...empty().timeseries.points[1], new_identities: "" }]),
    },
    { input: "a total that is an object", invalid: { ...empty(), total_identities: {} } },
    { input: "points that are a number", invalid: withPoints(2) },
    { input: "missing points", invalid: { ...empty(), timeseries: { granularity: "hour" } } },
  ])("returns null for $input, if there are no variants", ({ invalid }) => {
    expect(restoreExposures(empty(), window, [])).not.toBeNull();
    expect(restoreExposures(invalid, window, [])).toBeNull();
  });

  it("returns null for the numbers of another window", () => {
    for (const to of [START + 3 * HOUR, START + 5 * DAY, START])
      expect(restoreExposures(valid(), { from: START, to }, ["a"])).toBeNull();
    expect(restoreExposures(valid(), { from: START + DAY, to: START + DAY + 2 * HOUR }, ["a"])).toBeNull();
  });

  function negative() {
    const { first, size } = bucketsOf(window);
    const counts = [-1, 1].map((identities, index): ExposureCount => {
      return { multiple: false, variant: "a", bucket: first + index * size, identities };
    });
    return JSON.parse(textOf(counts, window, ["a"]));
  }
});

it("restoreExposures refuses numbers whose health has no list of checks", () => {
  const window = { from: START, to: START + HOUR };
  const exposures = JSON.parse(textOf([], window, ["control"]));
  expect(restoreExposures(exposures, window, ["control"])).not.toBeNull();
  for (const health of [null, { status: "healthy" }, { status: "healthy", checks: {} }])
    expect(restoreExposures({ ...exposures, health }, window, ["control"])).toBeNull();
});

describe("restoreHealth", () => {
  const check = { name: "window", status: "warning", detail: "It is long.", days: 3 };
  const restore = (...checks: unknown[]) => restoreHealth({ health: { checks } }, new Set(["2", "10", "1"]));

  it("separates the figures from name, status and sentence, and takes the worst status", () => {
    expect(restore(check, { ...check, name: "other", status: "unhealthy" })).toEqual({
      status: "unhealthy",
      checks: [
        { name: "window", status: "warning", detail: "It is long.", figures: { days: 3 } },
        { name: "other", status: "unhealthy", detail: "It is long.", figures: { days: 3 } },
      ],
    });
  });

  it("restores the order of variants in numbers by variant only", () => {
    const figures = { observed: { 1: 5, 2: 6, 10: 7 }, cause: { 2: 1, 1: "text" } };
    const restored = restore({ ...check, ...figures })?.checks[0]?.figures ?? {};
    expect(restored["observed"]).toEqual(
      new Map([
        ["2", 6],
        ["10", 7],
        ["1", 5],
      ]),
    );
    expect([...Object(restored["observed"]).keys()]).toEqual(["2", "10", "1"]);
    expect(restored["cause"]).toEqual({ 1: "text", 2: 1 });
  });

  it.each([
    ["without a name", { ...check, name: undefined }],
    ["with a name that is no text", { ...check, name: 7 }],
    ["with an unknown status", { ...check, status: "fine" }],
    ["without a status", { ...check, status: undefined }],
    ["without a sentence", { ...check, detail: undefined }],
    ["that is no object", 7],
    ["that is null", null],
  ])("refuses a check %s", (_, malformed) => {
    expect(restore(check, malformed)).toBeNull();
  });

  it("refuses health without a list of checks", () => {
    for (const exposures of [null, {}, { health: null }, { health: { checks: {} } }])
      expect(restoreHealth(exposures, new Set())).toBeNull();
  });
});
