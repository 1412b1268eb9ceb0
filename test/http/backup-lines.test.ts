import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Metric } from "../../src/experiment.ts";
import { bucketsOf, DAY, HOUR } from "../../src/exposures/buckets.ts";
import { checkHealth } from "../../src/exposures/check-health.ts";
import { worstStatus } from "../../src/exposures/health.ts";
import { serialise } from "../../src/exposures/serialise.ts";
import { type ExposureCount, summarise } from "../../src/exposures/summary.ts";
import { parseBackups } from "../../src/http/backup-lines.ts";
import { exportLine } from "../../src/http/responses.ts";
import type { Moments } from "../../src/results/moments.ts";
import { countsText } from "../../src/results/stored-counts.ts";
import type { Backup } from "../../src/store/backups.ts";

const START = Date.UTC(2026, 0, 1, 10, 30);
const NOW = START + 30 * DAY;
const key = fc.constantFrom("control", "2", "10", "__proto__", "constructor", "$multiple", 'a"b', "ключ");

const purchases: Metric = {
  key: "purchase",
  name: "☃",
  event: "purchase",
  aggregation: "mean",
  expectedDirection: "not_decrease",
  conversionWindowHours: null,
  lookbackDays: 0,
};
const MOMENTS: Moments = {
  identities: 0,
  sum: -0.1,
  squaredDeviations: 1e-300,
  covariate: { sum: 1e300, squaredDeviations: 0, productsOfDeviations: -5 },
};

/** A stored experiment with numbers. */
const backup = fc
  .record({
    id: fc.stringMatching(/^[\w.-]{1,64}$/).filter((id) => !/^\.\.?$/.test(id)),
    name: fc.constantFrom("Checkout", "☃ 'x'\n", "__proto__"),
    keys: fc.uniqueArray(key, { maxLength: 4 }),
    length: fc.constantFrom(1, HOUR, 72 * HOUR, 5 * DAY),
    /** The difference of as_of from the end; null: there is no end. */
    over: fc.constantFrom(null, 0, -HOUR, HOUR),
    counts: fc.array(fc.record({ variant: key, identities: fc.integer({ min: 1, max: 1000 }) }), { maxLength: 9 }),
    excluded: fc.nat(50),
    isFinal: fc.boolean(),
  })
  .map(({ id, name, keys, length, over, counts, excluded, isFinal }): Backup => {
    const window = { from: START, to: START + length };
    const variants = keys.map((key, index) => ({ key, weight: index }));
    const rows = counts.map((count): ExposureCount => ({ multiple: false, bucket: bucketsOf(window).first, ...count }));
    const summary = summarise([...rows, { multiple: true, identities: excluded }], window, keys);
    const collection = { latestExposureAt: START, lateIdentities: 1, invalidEvents: 2, events: 30 };
    const weightsChangedAt = isFinal ? START + HOUR : null;
    const constant = { countedAt: window.to, isRunning: true, weightsChangedAt, eventsTtlDays: 2 };
    const evidence = { ...constant, window, variants, summary, collection };
    const endedAt = over === null ? null : Math.max(START + 1, window.to - over);
    const metrics = [{ ...purchases, lookbackDays: keys.length }];
    const definition = { environmentKey: "env", featureName: "button", variants, metrics, startedAt: START, endedAt };
    const moments = new Map(keys.map((key, index) => [key, { ...MOMENTS, identities: index }]));
    const counted = countsText(metrics.map((metric) => ({ metric, invalidValues: excluded, variants: moments })));
    return {
      experiment: { id, name, source: "api", ...definition, createdAt: START - 1, updatedAt: START, weightsChangedAt },
      asOf: window.to,
      computedAt: window.to,
      isFinal: isFinal && endedAt !== null,
      // A refresh after the end may keep an earlier, fuller count as the final one.
      lastErrorAt: isFinal && endedAt !== null && endedAt > window.to ? endedAt : null,
      exposures: serialise(summary, checkHealth(evidence)),
      results: isFinal ? null : { asOf: window.from, computedAt: window.to, lastErrorAt: window.to, counted },
    };
  });

describe("parseBackups", () => {
  it("returns what was exported, also from lines without a format", () => {
    fc.assert(
      fc.property(backup, fc.boolean(), (stored, hasFormat) => {
        const line = hasFormat ? exportLine(stored) : exportLine(stored).replace('"format":1,', "");
        expect(parseBackups(line, "refuse", NOW)).toEqual({ ok: true, value: { backups: [stored], errors: [] } });
      }),
    );
  });

  it("accepts a line with an unknown check, and one that lacks a check", () => {
    const unknown = { name: "of_tomorrow", status: "warning", detail: "It is odd.", causes: [{ value: "ios" }] };
    fc.assert(
      fc.property(backup, fc.nat(6), fc.boolean(), (stored, at, isUnknown) => {
        const line = JSON.parse(exportLine(stored));
        const { health } = line.exposures;
        health.checks.splice(at, isUnknown ? 0 : 1, ...(isUnknown ? [unknown] : []));
        health.status = worstStatus(health.checks);
        const parsed = parseBackups(JSON.stringify(line), "refuse", NOW);
        const [restored] = parsed.ok ? parsed.value.backups : [];
        expect(JSON.parse(restored?.exposures ?? "null")).toEqual(line.exposures);
      }),
    );
  });

  it.each(["exposures", "results"])("names a line whose %s are nested too deep, and imports the others", (field) => {
    const [stored] = fc.sample(backup, { numRuns: 1, seed: 1 });
    if (stored === undefined) throw new Error("There is no sample.");
    const line = JSON.parse(exportLine(stored));
    line.exposures.health.checks[0].odd = field === "exposures" ? "DEEP" : null;
    if (field === "results") line.results = "DEEP";
    const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
    const text = (levels: number) => JSON.stringify(line).replace('"DEEP"', nested(levels));
    const errors = [{ path: "1", message: "must not be nested deeper than 100 levels" }];
    for (const levels of [100, 100_000]) {
      expect(parseBackups(text(levels), "refuse", NOW)).toEqual({ ok: false, failure: errors });
      const skipped = parseBackups(`${text(levels)}\n${exportLine(stored)}`, "skip", NOW);
      expect(skipped).toEqual({ ok: true, value: { backups: [stored], errors } });
    }
    if (field === "exposures") expect(parseBackups(text(94), "refuse", NOW).ok).toBe(true);
  });

  describe("refuses a state that no refresh could have stored", () => {
    const iso = (time: number) => new Date(time).toISOString();
    const [stored] = fc.sample(backup, { numRuns: 1, seed: 1 });
    const lineWith = (change: object) => {
      if (stored === undefined) throw new Error("There is no sample.");
      return JSON.stringify({ ...JSON.parse(exportLine(stored)), ...change });
    };
    const asOf = stored?.asOf ?? 0;
    const soon = iso(NOW + 300_000);
    const late = iso(NOW + 300_001);
    const results = { as_of: null, computed_at: null, last_error_at: null, counted: [] };
    const FUTURE = "must not be in the future";

    it.each([
      { change: { computed_at: late }, path: "computed_at", message: FUTURE },
      { change: { last_error_at: late }, path: "last_error_at", message: FUTURE },
      { change: { as_of: late }, path: "as_of", message: FUTURE },
      { change: { results: { ...results, as_of: late } }, path: "results.as_of", message: FUTURE },
      { change: { results: { ...results, computed_at: late } }, path: "results.computed_at", message: FUTURE },
      {
        change: { is_final: true, ended_at: iso(asOf + 1), last_error_at: iso(asOf) },
        path: "is_final",
        message: "must not be true unless as_of or last_error_at has reached ended_at",
      },
      {
        change: { is_final: true, ended_at: iso(asOf + 1), last_error_at: null },
        path: "is_final",
        message: "must not be true unless as_of or last_error_at has reached ended_at",
      },
    ])("$change", ({ change, path, message }) => {
      const failure = [{ path: `1.${path}`, message }];
      expect(parseBackups(lineWith(change), "refuse", NOW)).toEqual({ ok: false, failure });
    });

    it.each([
      { change: { computed_at: soon, last_error_at: soon } },
      { change: { is_final: true, ended_at: iso(asOf) } },
      { change: { is_final: true, ended_at: iso(asOf - 1) } },
      { change: { is_final: true, ended_at: iso(asOf + 1), last_error_at: iso(asOf + 1) } },
      { change: { is_final: false, ended_at: iso(asOf - 1) } },
    ])("but accepts $change", ({ change }) => {
      expect(parseBackups(lineWith(change), "refuse", NOW).ok).toBe(true);
    });
  });

  it("refuses the file for one bad line, or leaves the line out and names it", () => {
    const [stored] = fc.sample(backup, { numRuns: 1, seed: 1 });
    if (stored === undefined) throw new Error("There is no sample.");
    const text = `{\n${exportLine(stored)}${exportLine(stored).replace('"format":1', '"format":2')}`;
    const errors = [
      { path: "1", message: expect.any(String) },
      { path: "3.format", message: expect.stringMatching(/must be 1/) },
    ];
    expect(parseBackups(text, "refuse", NOW)).toEqual({ ok: false, failure: errors });
    expect(parseBackups(text, "skip", NOW)).toEqual({ ok: true, value: { backups: [stored], errors } });
  });
});
