import { describe, expect, it } from "vitest";
import { DAY, HOUR } from "../../src/exposures/buckets.ts";
import { checkHealth } from "../../src/exposures/check-health.ts";
import { type CheckName, NO_CAUSES } from "../../src/exposures/health.ts";
import { type EvidenceInput, evidenceOf, FROM } from "../support/evidence.ts";

function runCheck(name: CheckName, given: EvidenceInput) {
  const found = checkHealth(evidenceOf(given)).checks.find((check) => check.name === name);
  if (found === undefined) throw new Error(`The check ${name} is missing.`);
  return found;
}

describe("sample_ratio", () => {
  it.each<{ when: string; given: EvidenceInput }>([
    { when: "with 99 identities", given: { seen: { a: 99 } } },
    { when: "with no identities", given: {} },
    {
      when: "with 99 identities, and more in variants of weight 0",
      given: {
        variants: { a: 1, b: 1, off: 0 },
        seen: { a: 99, off: 1000 },
      },
    },
    {
      when: "with 99 identities, and more in unconfigured variants",
      given: {
        seen: { a: 99, c: 1000 },
      },
    },
    { when: "with 99 identities, and more that saw several variants", given: { seen: { a: 99 }, excluded: 1000 } },
    { when: "without variants", given: { variants: {}, seen: { a: 1000 } } },
    { when: "with one variant", given: { variants: { a: 1 }, seen: { a: 1000 } } },
    { when: "with one variant of weight > 0", given: { variants: { a: 1, b: 0 }, seen: { a: 1000 } } },
    { when: "with no variant of weight > 0", given: { variants: { a: 0, b: 0 }, seen: { a: 1000 } } },
  ])("is waiting without p-values $when", ({ given }) => {
    const { status, figures } = runCheck("sample_ratio", given);
    expect(status).toBe("waiting");
    expect(figures).toMatchObject({ p_value: null, sequential_p_value: null });
  });

  it.each<{ status: string; when: string } & EvidenceInput>([
    {
      status: "healthy",
      when: "100 identities are split evenly",
      seen: { a: 50, b: 50 },
    },
    {
      status: "healthy",
      when: "the chi-square p is 0.00101",
      seen: { a: 552, b: 448 },
    },
    {
      status: "warning",
      when: "the chi-square p is 0.0008",
      seen: { a: 553, b: 447 },
    },
    {
      status: "warning",
      when: "the chi-square p is 7e-8 and the sequential p 0.00102",
      seen: { a: 5269, b: 4731 },
    },
    {
      status: "unhealthy",
      when: "the sequential p is 0.00096",
      seen: { a: 5270, b: 4730 },
    },
    { status: "warning", when: "a variant has 0 of 100 identities, too few for certainty", seen: { a: 100 } },
    { status: "unhealthy", when: "a variant has 0 of 10,000 identities", seen: { b: 10_000 } },
    {
      status: "unhealthy",
      when: "the split is even again after it was uneven",
      seen: { a: 6000, b: 4000 },
      later: { a: 4000, b: 6000 },
    },
  ])("is $status when $when", ({ status, when, ...given }) => {
    expect(runCheck("sample_ratio", given).status, when).toBe(status);
  });

  it("returns both p-values, and the expected and observed numbers in the order of the variants", () => {
    const variants = new Map([
      ["2", 6],
      ["off", 0],
      ["__proto__", 3],
      ["1", 3],
    ]);
    const seen = new Map([
      ["1", 300],
      ["__proto__", 290],
      ["2", 610],
      ["off", 5],
      ["unconfigured", 7],
    ]);
    const { status, figures } = runCheck("sample_ratio", { variants, seen, excluded: 50 });
    expect(status).toBe("healthy");
    expect(figures["expected"]).toEqual(
      new Map([
        ["2", 0.5],
        ["__proto__", 0.25],
        ["1", 0.25],
      ]),
    );
    expect(figures["observed"]).toEqual(
      new Map([
        ["2", 610],
        ["__proto__", 290],
        ["1", 300],
      ]),
    );
    for (const numbers of [figures["expected"], figures["observed"]])
      expect(numbers instanceof Map && [...numbers.keys()]).toEqual(["2", "__proto__", "1"]);
    // mpmath: gammainc(1, (10² / 600 + 10² / 300) / 2, regularized=True)
    expect(figures["p_value"]).toBeCloseTo(0.77880078307, 10);
    expect(figures["sequential_p_value"]).toBe(1);
  });

  it.each<{ when: string; given: EvidenceInput; status: string; detail: string; testedFrom: string }>([
    {
      when: "a ramp to an even split is even since then",
      given: { seen: { a: 9000, b: 1000 }, later: { a: 300, b: 310 } },
      status: "healthy",
      detail:
        "The split of 610 identities from 2026-06-02 00:00 UTC on is consistent with the weights (sequential p = 1).",
      testedFrom: "2026-06-02T00:00:00.000Z",
    },
    {
      when: "the split is off since then",
      given: { seen: { a: 500, b: 500 }, later: { a: 900, b: 100 } },
      status: "unhealthy",
      detail: '"a" has 900 of 1,000 identities from 2026-06-02 00:00 UTC on instead of 500, which is very unlikely',
      testedFrom: "2026-06-02T00:00:00.000Z",
    },
    {
      when: "there are too few identities since then",
      given: { seen: { a: 9000, b: 1000 }, later: { a: 99 } },
      status: "waiting",
      detail: "99 identities from 2026-06-02 00:00 UTC on: wait for 100, the minimum for checking the split.",
      testedFrom: "2026-06-02T00:00:00.000Z",
    },
    {
      when: "no bucket has begun since then",
      given: { seen: { a: 9000, b: 1000 }, length: HOUR },
      status: "waiting",
      detail: "0 identities from 2026-06-01 01:00 UTC on: wait for 100, the minimum for checking the split.",
      testedFrom: "2026-06-01T01:00:00.000Z",
    },
  ])("is $status after a change of the weights when $when", ({ given, status, detail, testedFrom }) => {
    const check = runCheck("sample_ratio", { ...given, weightsChangedAt: FROM + HOUR / 2 });
    expect(check.status).toBe(status);
    expect(check.detail.startsWith(detail)).toBe(true);
    expect(check.detail).toMatch(
      / The weights changed at 2026-06-01 00:30 UTC, so results mix periods with different splits\.$/,
    );
    expect(check.figures["tested_from"]).toBe(testedFrom);
  });

  it("says nothing of mixed periods when the weights changed after the window", () => {
    const check = runCheck("sample_ratio", {
      seen: { a: 900, b: 100 },
      length: HOUR,
      weightsChangedAt: FROM + 5 * HOUR,
    });
    expect(check).toMatchObject({ status: "waiting", detail: expect.not.stringContaining("mix") });
  });

  it("returns the expected shares and the counts so far while it is waiting", () => {
    const { figures } = runCheck("sample_ratio", { variants: { a: 1, b: 3 }, seen: { a: 99 } });
    expect(figures["expected"]).toEqual(
      new Map([
        ["a", 0.25],
        ["b", 0.75],
      ]),
    );
    expect(figures["observed"]).toEqual(
      new Map([
        ["a", 99],
        ["b", 0],
      ]),
    );
  });

  it.each([
    {
      status: "warning",
      seen: { a: 8900, b: 1100 },
      worst: /"b".*1,100.*10,000.*1,000/,
    },
    {
      status: "unhealthy",
      seen: { a: 8500, b: 1500 },
      worst: /"b".*1,500.*10,000.*1,000/,
    },
  ])("names the variant with the largest deviation and its numbers when $status", ({ status, seen, worst }) => {
    const found = runCheck("sample_ratio", { variants: { a: 90, b: 10 }, seen });
    expect(found.status).toBe(status);
    expect(found.detail).toMatch(worst);
  });

  it("says what to do, with the p-values", () => {
    const variants = { a: 90, b: 10 };
    expect(runCheck("sample_ratio", { variants, seen: { a: 8500, b: 1500 } }).detail).toMatch(
      /^"b" has 1,500 of 10,000 identities instead of 1,000, which is very unlikely by chance \(sequential p = [^)]+\): look for redirects, crashes, bots or caches in one variant before you trust any result\.$/,
    );
    expect(runCheck("sample_ratio", { variants, seen: { a: 8900, b: 1100 } }).detail).toMatch(
      /looks off \(chi-square p = [^)]+\) but is not certain yet \(sequential p = [^)]+\): wait for more identities\.$/,
    );
    expect(runCheck("sample_ratio", { variants, seen: { a: 10 } }).detail).toBe(
      "10 identities so far: wait for 100, the minimum for checking the split.",
    );
    expect(runCheck("sample_ratio", { variants: { a: 1 }, seen: { a: 500 } }).detail).toBe(
      "The split cannot be checked yet: configure at least two variants with a weight above 0.",
    );
  });

  it.each([
    { share: 159, a: 300, expected: "2.5" },
    { share: 39, a: 320, expected: "11" },
  ])("writes the expected number $expected with decimals only below 10", ({ share, a, expected }) => {
    const { detail } = runCheck("sample_ratio", { variants: { a: share, b: 1 }, seen: { a, b: 100 } });
    expect(detail).toContain(`instead of ${expected},`);
  });

  it("accepts the smallest and the largest weights", () => {
    for (const weight of [Number.MIN_VALUE, 1e-320, 1, 1e308, Number.MAX_VALUE]) {
      const { status } = runCheck("sample_ratio", {
        variants: { a: weight, b: weight },
        seen: { a: 500, b: 500 },
      });
      expect(status).toBe("healthy");
    }
  });
});

describe("multiple_variants", () => {
  it.each([
    { status: "healthy", excluded: 0, counted: 0, share: null },
    { status: "healthy", excluded: 0, counted: 100, share: 0 },
    { status: "healthy", excluded: 9, counted: 891, share: 0.01 },
    { status: "healthy", excluded: 9, counted: 90, share: 9 / 99 },
    { status: "healthy", excluded: 10, counted: 991, share: 10 / 1001 },
    { status: "warning", excluded: 10, counted: 990, share: 0.01 },
    { status: "warning", excluded: 10, counted: 91, share: 10 / 101 },
    { status: "warning", excluded: 99, counted: 892, share: 99 / 991 },
    { status: "unhealthy", excluded: 99, counted: 891, share: 0.1 },
    { status: "unhealthy", excluded: 1, counted: 9, share: 0.1 },
    { status: "unhealthy", excluded: 5, counted: 0, share: 1 },
  ])(
    "is $status when $excluded identities saw several variants and $counted saw one",
    ({ status, excluded, counted, share }) => {
      const found = runCheck("multiple_variants", { seen: { a: counted }, excluded });
      expect(found.status).toBe(status);
      expect(found.figures).toEqual({ share, excluded_identities: excluded, ...NO_CAUSES });
    },
  );
});

describe("unknown_variants", () => {
  it.each<{ status: string; when: string; given: EvidenceInput; variants: [string, number][] }>([
    {
      status: "healthy",
      when: "all variants seen are configured",
      given: {
        seen: { a: 1, b: 1 },
      },
      variants: [],
    },
    { status: "healthy", when: "there are no identities", given: {}, variants: [] },
    { status: "healthy", when: "no variants are configured", given: { variants: {}, seen: { a: 9 } }, variants: [] },
    {
      status: "healthy",
      when: "an unseen variant has weight 0",
      given: { variants: { a: 1, b: 0 } },
      variants: [],
    },
    { status: "healthy", when: "only excluded identities exist", given: { excluded: 1 }, variants: [] },
    { status: "warning", when: "an unconfigured variant was seen", given: { seen: { c: 1 } }, variants: [["c", 1]] },
    {
      status: "warning",
      when: "a variant of weight 0 was seen",
      given: {
        variants: { a: 1, off: 0 },
        seen: { a: 5, off: 3 },
        later: { off: 4 },
      },
      variants: [["off", 7]],
    },
    {
      status: "warning",
      when: "all variants have weight 0 and one was seen",
      given: { variants: { a: 0, b: 0 }, seen: { b: 2 } },
      variants: [["b", 2]],
    },
    {
      status: "warning",
      when: "both kinds were seen, and lists the configured ones first",
      given: {
        variants: { z: 0, a: 1 },
        seen: { c: 1, b: 2, z: 3, a: 4 },
      },
      variants: [
        ["z", 3],
        ["b", 2],
        ["c", 1],
      ],
    },
  ])("is $status when $when", ({ status, given, variants }) => {
    const found = runCheck("unknown_variants", given);
    expect(found.status).toBe(status);
    expect(found.figures["variants"]).toEqual(new Map(variants));
    const { variants: figure } = found.figures;
    expect(figure instanceof Map && [...figure]).toEqual(variants);
  });

  it.each([
    "__proto__",
    "constructor",
    "2",
    "$multiple",
    "x".repeat(200),
    "🧪".repeat(200),
    'say "hi"',
    "new\nline",
    "\u2028",
    "\0",
    "ltr\u202ertl",
  ])("reports the unconfigured key %j, and accepts it once configured", (key) => {
    const unknown = runCheck("unknown_variants", { seen: new Map([[key, 7]]) });
    expect(unknown.status).toBe("warning");
    expect(unknown.figures["variants"]).toEqual(new Map([[key, 7]]));
    const configured = runCheck("unknown_variants", { variants: new Map([[key, 1]]), seen: new Map([[key, 7]]) });
    expect(configured.status).toBe("healthy");
  });

  it("limits the length of its sentence for long and many names", () => {
    const names = Array.from({ length: 500 }, (_, index) => String(index).padStart(200, "0"));
    const { detail, figures } = runCheck("unknown_variants", { seen: new Map(names.map((name) => [name, 2])) });
    expect(figures["variants"] instanceof Map && figures["variants"].size).toBe(500);
    expect(detail).toContain(`"${"0".repeat(39)}…"`);
    expect(detail).toContain("497 more");
    expect(detail).toContain("1,000 identities");
    expect(detail.length).toBeLessThan(400);
    expect(runCheck("unknown_variants", { seen: { c: 1, d: 1, e: 1 } }).detail).toContain('("c", "d", "e")');
    expect(runCheck("unknown_variants", { seen: { c: 1, d: 1, e: 1, f: 1 } }).detail).toContain("1 more");
    const forty = "y".repeat(40);
    expect(runCheck("unknown_variants", { seen: { [forty]: 1 } }).detail).toContain(`"${forty}"`);
  });
});

describe("exposures_arriving", () => {
  it.each([
    { status: "waiting", when: "none has arrived after 24 h - 1 ms", length: DAY - 1, latest: null, isRunning: true },
    { status: "unhealthy", when: "none has arrived after 24 h", length: DAY, latest: null, isRunning: true },
    {
      status: "unhealthy",
      when: "the experiment ended after an hour without any",
      length: HOUR,
      latest: null,
      isRunning: false,
    },
    {
      status: "unhealthy",
      when: "the experiment ended after days without any",
      length: 9 * DAY,
      latest: null,
      isRunning: false,
    },
    { status: "healthy", when: "the first has just arrived", length: 1, latest: FROM, isRunning: true },
    { status: "healthy", when: "the latest is 24 h old", length: 9 * DAY, latest: FROM + 8 * DAY, isRunning: true },
    {
      status: "warning",
      when: "the latest is 24 h and 1 ms old",
      length: 9 * DAY,
      latest: FROM + 8 * DAY - 1,
      isRunning: true,
    },
    {
      status: "healthy",
      when: "the experiment ended 24 h after the latest",
      length: 9 * DAY,
      latest: FROM + 8 * DAY,
      isRunning: false,
    },
    {
      status: "healthy",
      when: "the experiment ended and the latest is from its start",
      length: 9 * DAY,
      latest: FROM,
      isRunning: false,
    },
  ])("is $status when $when", ({ status, length, latest, isRunning }) => {
    const found = runCheck("exposures_arriving", { length, isRunning, collection: { latestExposureAt: latest } });
    expect(found.status).toBe(status);
    expect(found.figures).toEqual({ latest_exposure_at: latest === null ? null : new Date(latest).toISOString() });
  });

  it("states times in UTC", () => {
    const latestExposureAt = Date.UTC(2026, 5, 2, 3, 4, 5);
    const latest = runCheck("exposures_arriving", { collection: { latestExposureAt } });
    expect(latest.status).toBe("warning");
    expect(latest.detail).toContain("2026-06-02 03:04 UTC");
    const none = runCheck("exposures_arriving", { collection: { latestExposureAt: null } });
    expect(none.detail).toContain("2026-06-01 00:00 UTC");
  });
});

describe("late_events", () => {
  it.each([
    { status: "healthy", late: 0, counted: 0, excluded: 0, share: null },
    { status: "healthy", late: 0, counted: 10, excluded: 0, share: 0 },
    { status: "healthy", late: 5, counted: 101, excluded: 0, share: 5 / 101 },
    { status: "healthy", late: 5, counted: 51, excluded: 50, share: 5 / 101 },
    { status: "warning", late: 5, counted: 100, excluded: 0, share: 0.05 },
    { status: "warning", late: 5, counted: 50, excluded: 50, share: 0.05 },
    { status: "warning", late: 1, counted: 1, excluded: 0, share: 1 },
    { status: "warning", late: 1, counted: 0, excluded: 1, share: 1 },
  ])("is $status for $late late identities of $counted counted and $excluded excluded ones", (given) => {
    const { status, late, counted, excluded, share } = given;
    const found = runCheck("late_events", { seen: { a: counted }, excluded, collection: { lateIdentities: late } });
    expect(found.status).toBe(status);
    expect(found.figures).toEqual({ share, late_identities: late });
  });
});

describe("window", () => {
  it.each([
    { status: "healthy", when: "a start as old as the TTL", age: 90 * DAY, eventsTtlDays: 90 },
    { status: "warning", when: "a start 1 ms older than the TTL", age: 90 * DAY + 1, eventsTtlDays: 90 },
    { status: "healthy", when: "a start as old as a TTL of a day", age: DAY, eventsTtlDays: 1 },
    { status: "warning", when: "a start 1 ms older than a TTL of a day", age: DAY + 1, eventsTtlDays: 1 },
    { status: "healthy", when: "a start ten years ago without a TTL", age: 3650 * DAY, eventsTtlDays: 0 },
    { status: "healthy", when: "a start 1 ms ago without a TTL", age: 1, eventsTtlDays: 0 },
  ])("is $status for $when, whatever the length of the window", ({ status, age, eventsTtlDays }) => {
    for (const length of [1, age]) {
      const found = runCheck("window", { length, countedAt: FROM + age, eventsTtlDays });
      expect(found.status).toBe(status);
      expect(found.figures).toEqual({ days: length / DAY, events_ttl_days: eventsTtlDays });
    }
  });
});

describe("invalid_events", () => {
  it.each([
    { status: "healthy", when: "there are no events", invalid: 0, events: 0, latest: null, share: null },
    { status: "healthy", when: "all are valid and uncounted", invalid: 0, events: 0, latest: FROM, share: 0 },
    { status: "healthy", when: "all are valid and counted", invalid: 0, events: 100, latest: FROM, share: 0 },
    { status: "healthy", when: "1 of 101 is invalid", invalid: 1, events: 101, latest: FROM, share: 1 / 101 },
    { status: "warning", when: "1 of 100 is invalid", invalid: 1, events: 100, latest: FROM, share: 0.01 },
    { status: "warning", when: "all are invalid", invalid: 7, events: 7, latest: null, share: 1 },
    { status: "warning", when: "more events are invalid than counted", invalid: 7, events: 6, latest: FROM, share: 1 },
  ])("is $status when $when", ({ status, invalid, events, latest, share }) => {
    const collection = { invalidEvents: invalid, events, latestExposureAt: latest };
    const found = runCheck("invalid_events", { collection });
    expect(found.status).toBe(status);
    expect(found.figures).toEqual({ share, invalid_events: invalid });
  });
});
