import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitChangeIn } from "../../src/experiment.ts";
import { bucketsOf, DAY, HOUR, splitFrom } from "../../src/exposures/buckets.ts";
import { checkSampleRatio } from "../../src/exposures/check-sample-ratio.ts";
import { type ExposureCount, summarise } from "../../src/exposures/summary.ts";

const FROM = Date.UTC(2026, 5, 1, 9, 30);
const NINE = FROM - HOUR / 2;
const MIDNIGHT = Date.UTC(2026, 5, 1);
const HOURLY = { from: FROM, to: FROM + 72 * HOUR };
const DAILY = { from: FROM, to: FROM + 72 * HOUR + 1 };

describe("splitFrom", () => {
  it.each([
    { when: "the weights never changed", window: HOURLY, changedAt: null, expected: FROM },
    { when: "they changed before the start", window: HOURLY, changedAt: FROM - DAY, expected: FROM },
    { when: "they changed at the start", window: HOURLY, changedAt: FROM, expected: FROM },
    { when: "they changed in the first hour", window: HOURLY, changedAt: FROM + 1, expected: NINE + HOUR },
    { when: "they changed on the hour", window: HOURLY, changedAt: NINE + 5 * HOUR, expected: NINE + 5 * HOUR },
    { when: "they changed 1 ms later", window: HOURLY, changedAt: NINE + 5 * HOUR + 1, expected: NINE + 6 * HOUR },
    { when: "buckets are days", window: DAILY, changedAt: NINE + 5 * HOUR, expected: MIDNIGHT + DAY },
    { when: "they changed at midnight", window: DAILY, changedAt: MIDNIGHT + 2 * DAY, expected: MIDNIGHT + 2 * DAY },
    { when: "they changed in the last hour", window: HOURLY, changedAt: HOURLY.to - 1, expected: HOURLY.to + HOUR / 2 },
  ])("returns the first bucket with the current weights when $when", ({ window, changedAt, expected }) => {
    expect(splitFrom(window, changedAt)).toBe(expected);
  });
});

describe("splitChangeIn", () => {
  it("returns a change after the start and before the time of the numbers only", () => {
    const changes = [null, FROM - 1, FROM, FROM + 1, HOURLY.to - 1, HOURLY.to];
    const found = changes.map((weightsChangedAt) => splitChangeIn({ startedAt: FROM, weightsChangedAt }, HOURLY.to));
    expect(found).toEqual([null, null, null, FROM + 1, HOURLY.to - 1, null]);
    expect(splitChangeIn({ startedAt: FROM, weightsChangedAt: FROM + 1 }, null)).toBeNull();
    expect(splitChangeIn({ startedAt: null, weightsChangedAt: FROM }, FROM + 1)).toBeNull();
  });
});

describe("checkSampleRatio after a change of the weights", () => {
  const KEYS = ["a", "b", "2"];
  const scenario = fc.record({
    // The rest of the window has buckets of the same length: up to 72 hours, or more than three days.
    length: fc.oneof(fc.integer({ min: 1, max: 72 * HOUR }), fc.integer({ min: 8 * DAY, max: 20 * DAY })),
    weights: fc.array(fc.nat(3), { minLength: KEYS.length, maxLength: KEYS.length }),
    changedAfter: fc.integer({ min: -HOUR, max: 4 * DAY }),
    counts: fc.array(fc.record({ variant: fc.constantFrom(...KEYS, "c"), at: fc.nat(999), identities: fc.nat(400) }), {
      maxLength: 40,
    }),
  });

  it("has the figures of an experiment that starts at the next bucket with these weights", () => {
    fc.assert(
      fc.property(scenario, ({ length, weights, changedAfter, counts }) => {
        const window = { from: FROM, to: FROM + length };
        const weightsChangedAt = FROM + changedAfter;
        const variants = KEYS.map((key, index) => ({ key, weight: weights[index] ?? 0 }));
        const { first, size, count } = bucketsOf(window);
        const rows = counts.map(({ at, ...row }): ExposureCount => {
          return { multiple: false, ...row, bucket: first + (at % count) * size };
        });
        const from = splitFrom(window, weightsChangedAt);
        const later = { from, to: Math.max(from, window.to) };
        const afterwards = rows.filter((row) => !row.multiple && row.bucket >= Math.floor(from / size) * size);
        const check = (counted: ExposureCount[], within: typeof window, changedAt: number | null) => {
          const summary = summarise(counted, within, KEYS);
          return checkSampleRatio({ window: within, summary, variants, weightsChangedAt: changedAt });
        };
        const changed = check(rows, window, weightsChangedAt);
        const started = check(afterwards, later, null);
        expect(changed.status).toBe(started.status);
        const testedFrom = from === FROM ? null : new Date(from).toISOString();
        expect(changed.figures).toEqual({ ...started.figures, tested_from: testedFrom });
      }),
      { numRuns: 500 },
    );
  });
});
