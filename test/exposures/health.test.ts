import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DAY, HOUR } from "../../src/exposures/buckets.ts";
import { checkHealth } from "../../src/exposures/check-health.ts";
import { checkNames, checkStatuses, type Evidence, figureNames, worstStatus } from "../../src/exposures/health.ts";
import { type EvidenceInput, evidenceOf, FROM } from "../support/evidence.ts";

/** `SEED=… npm test -- test/exposures/health` uses another seed. A failure prints its seed. */
const seed = Number(process.env["SEED"] ?? 20261124);

describe("the overall status", () => {
  it.each([
    { status: "healthy", of: [] },
    { status: "healthy", of: ["healthy", "healthy"] },
    { status: "waiting", of: ["healthy", "waiting"] },
    { status: "warning", of: ["waiting", "warning", "healthy"] },
    { status: "unhealthy", of: ["warning", "unhealthy", "waiting", "healthy"] },
  ] as const)("is $status for $of", ({ status, of }) => {
    expect(worstStatus(of.map((status) => ({ status })))).toBe(status);
  });

  it("is the worst status in every combination of seven checks", () => {
    for (let combination = 0; combination < 4 ** 7; combination += 1) {
      const seven = checkNames.map((_, index) => ({
        status: checkStatuses[Math.floor(combination / 4 ** index) % 4] ?? "healthy",
      }));
      const has = (status: string) => seven.some((check) => check.status === status);
      const expected = ["unhealthy", "warning", "waiting"].find(has) ?? "healthy";
      if (worstStatus(seven) !== expected) expect.fail(`${JSON.stringify(seven)} is not ${expected}`);
    }
  });

  it.each<{ status: string; when: string; given: EvidenceInput }>([
    {
      status: "healthy",
      when: "all checks are healthy",
      given: {
        seen: { a: 50, b: 50 },
      },
    },
    {
      status: "waiting",
      when: "there are too few identities",
      given: {
        seen: { a: 5, b: 5 },
      },
    },
    {
      status: "warning",
      when: "an unconfigured variant is seen and there are too few identities",
      given: {
        seen: { a: 5, c: 5 },
      },
    },
    {
      status: "unhealthy",
      when: "half of the identities saw several variants",
      given: {
        seen: { a: 5, c: 5 },
        excluded: 10,
      },
    },
  ])("is $status when $when", ({ status, given }) => {
    expect(checkHealth(evidenceOf(given)).status).toBe(status);
  });
});

/** Keys that break careless code, without the words that no sentence may contain. */
const anyKey = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "__proto__",
    "constructor",
    "1",
    "2",
    "10",
    "$multiple",
    "x".repeat(200),
    'a"b',
    "new\nline",
  ),
  fc.constantFrom("cr\rlf\n", "\u0085", "\u2028", "\u2029", "\0", "ltr\u202ertl", "🧪".repeat(60), " ", "é", "a, b"),
);
const anyWeight = fc.oneof(
  fc.constantFrom(0, 1, 50, 1e-320, 1e308),
  fc.double({ min: 0, max: 100, noNaN: true, noDefaultInfinity: true }),
);
const anyCount = fc.oneof(fc.constantFrom(0, 1, 9, 10, 99, 100), fc.nat({ max: 1000 }), fc.nat({ max: 1e9 }));

const anyNumbers = fc
  .uniqueArray(fc.tuple(anyKey, anyCount), { selector: ([key]) => key, maxLength: 6 })
  .map((entries) => new Map(entries));

const anyEvidence = fc
  .record({
    variants: fc.uniqueArray(fc.tuple(anyKey, anyWeight), { selector: ([key]) => key, maxLength: 5 }),
    seen: anyNumbers,
    later: anyNumbers,
    excluded: anyCount,
    length: fc.oneof(fc.constantFrom(1, HOUR, DAY - 1, DAY), fc.integer({ min: 1, max: 400 * DAY })),
    isRunning: fc.boolean(),
    latest: fc.option(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
    late: fc.double({ min: 0, max: 1, noNaN: true }),
    events: anyCount,
    invalid: fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })),
    eventsTtlDays: fc.oneof(fc.constantFrom(0, 1, 90), fc.nat({ max: 4000 })),
  })
  .map(({ variants, latest, late, events, invalid, ...rest }) => {
    const { seen, later, excluded, length } = rest;
    const identities = [...seen.values(), ...later.values()].reduce((sum, number) => sum + number, excluded);
    return evidenceOf({
      ...rest,
      variants: new Map(variants),
      collection: {
        latestExposureAt: latest === null ? null : FROM + Math.floor(latest * length),
        lateIdentities: Math.floor(late * identities),
        invalidEvents: Math.floor(invalid * events),
        events,
      },
    });
  });

describe("checkHealth with any evidence", () => {
  const forAny = (predicate: (evidence: Evidence) => void) =>
    fc.assert(fc.property(anyEvidence, predicate), { seed, numRuns: 1000 });

  it("returns all checks and their figures in the documented order", () => {
    const documented = [
      "sample_ratio",
      "multiple_variants",
      "unknown_variants",
      "exposures_arriving",
      "late_events",
      "window",
      "invalid_events",
    ];
    expect(checkNames).toEqual(documented);
    forAny((evidence) => {
      const { checks } = checkHealth(evidence);
      expect(checks.map(({ name }) => name)).toEqual(documented);
      for (const { name, figures } of checks) expect(Object.keys(figures)).toEqual(figureNames[name]);
    });
  });

  it("returns the worst status of its checks", () => {
    forAny((evidence) => {
      const { status, checks } = checkHealth(evidence);
      expect(checks.every((check) => checkStatuses.includes(check.status))).toBe(true);
      expect(status).toBe(worstStatus(checks));
    });
  });

  it("writes each detail as one sentence on one line, with valid numbers", () => {
    forAny((evidence) => {
      for (const { detail } of checkHealth(evidence).checks) {
        expect(detail).toMatch(/^[\p{Lu}\d"][^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+[^.]\.$/u);
        expect(detail).not.toMatch(/[.!?] /);
        expect(detail).not.toMatch(/NaN|undefined|null|Infinity|∞|(?<!\d)-0|\[object/);
      }
    });
  });

  it("returns finite figures of at least 0, and shares and p-values of at most 1", () => {
    forAny((evidence) => {
      for (const { figures } of checkHealth(evidence).checks)
        for (const [name, figure] of Object.entries(figures)) {
          const numbers =
            figure instanceof Map ? [...figure.values()] : [figure].filter((value) => typeof value === "number");
          for (const number of numbers) {
            expect(Number.isFinite(number)).toBe(true);
            expect(number).toBeGreaterThanOrEqual(0);
            if (/share|p_value|expected/.test(name)) expect(number).toBeLessThanOrEqual(1);
          }
        }
    });
  });
});
