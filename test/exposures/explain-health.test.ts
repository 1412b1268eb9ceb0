import { describe, expect, it } from "vitest";
import type { Breakdowns, BreakdownValue } from "../../src/exposures/breakdown.ts";
import { DAY } from "../../src/exposures/buckets.ts";
import { serialiseWithin } from "../../src/exposures/compute-exposures.ts";
import { causeSentence, explainHealth, needsBreakdown } from "../../src/exposures/explain-health.ts";
import { type Check, type CheckName, type CheckStatus, type Health, NO_CAUSES } from "../../src/exposures/health.ts";
import { summarise } from "../../src/exposures/summary.ts";

const FROM = Date.UTC(2026, 5, 1);
const VARIANTS = ["control", "treatment"].map((key) => ({ key, weight: 1 }));

function healthWith(name: CheckName, status: CheckStatus): Health {
  const check: Check = { name, status, detail: "It is off.", figures: { share: 1, ...NO_CAUSES } };
  return { status, checks: [check] };
}

function identitiesOf(value: string, control: number, treatment: number, more: Partial<BreakdownValue> = {}) {
  const identities = new Map([
    ["control", control],
    ["treatment", treatment],
  ]);
  return { value, identities, counted: control + treatment, excluded: 0, late: 0, ...more };
}

/** A hundred days. From one of them on, the treatment is lost. */
function brokenFrom(day: number): Breakdowns {
  const values = Array.from({ length: 100 }, (_, index) =>
    identitiesOf(String(FROM + index * DAY), 1000, index < day ? 1000 : 500),
  );
  return { splitFrom: FROM, dimensions: [{ dimension: "first_exposure", values }] };
}

describe("needsBreakdown", () => {
  it.each<[CheckName, CheckStatus, boolean]>([
    ["sample_ratio", "unhealthy", true],
    ["sample_ratio", "warning", true],
    ["sample_ratio", "waiting", false],
    ["multiple_variants", "healthy", false],
    ["multiple_variants", "warning", true],
    ["unknown_variants", "warning", true],
    ["late_events", "warning", true],
    ["exposures_arriving", "unhealthy", false],
    ["window", "warning", false],
    ["invalid_events", "warning", false],
  ])("with %s %s is %s", (name, status, expected) => {
    expect(needsBreakdown(healthWith(name, status))).toBe(expected);
  });
});

it("needs a breakdown if one check of several is off", () => {
  const checks = [healthWith("sample_ratio", "warning"), healthWith("window", "healthy")].flatMap(
    ({ checks }) => checks,
  );
  expect(needsBreakdown({ status: "warning", checks })).toBe(true);
});

describe("explainHealth", () => {
  it.each([
    { day: 60, first: 50 },
    { day: 95, first: 79 },
    { day: 3, first: 0 },
  ])("adds when it began and the 21 buckets around that, if it is off from day $day on", ({ day, first }) => {
    const explained = explainHealth(healthWith("sample_ratio", "unhealthy"), brokenFrom(day), VARIANTS);
    expect(explained).toMatchObject({ status: "unhealthy", checks: [{ detail: "It is off." }] });
    const figures = Object(explained.checks[0]?.figures);
    const began = new Date(FROM + day * DAY).toISOString();
    expect(figures).toMatchObject({
      share: 1,
      began_at: began,
      causes: [{ dimension: "first_exposure", value: began }],
    });
    const { breakdown } = figures;
    expect(breakdown.values).toHaveLength(21);
    expect(breakdown.values[0].value).toBe(new Date(FROM + first * DAY).toISOString());
  });

  it("adds that there is no cause", () => {
    const values = ["1.0", "2.0"].map((value) => identitiesOf(value, 1500, 1000));
    const breakdowns = { splitFrom: FROM, dimensions: [{ dimension: "sdk_version", values }] };
    const [check] = explainHealth(healthWith("sample_ratio", "warning"), breakdowns, VARIANTS).checks;
    expect(check?.figures).toMatchObject({ causes: [], causes_detail: expect.any(String), breakdown: null });
  });

  it("leaves healthy checks as they are", () => {
    const health = healthWith("sample_ratio", "healthy");
    expect(explainHealth(health, brokenFrom(50), VARIANTS)).toEqual(health);
  });

  it("explains several variants, and names a value of another dimension as it is", () => {
    const values = [identitiesOf("1.0", 5000, 5000), identitiesOf("0.9", 500, 500, { excluded: 900 })];
    const breakdowns = { splitFrom: FROM, dimensions: [{ dimension: "sdk_version", values }] };
    const health = healthWith("multiple_variants", "unhealthy");
    const [check] = explainHealth(health, breakdowns, VARIANTS).checks;
    expect(check?.figures).toMatchObject({ causes: [{ dimension: "sdk_version", value: "0.9" }], began_at: null });
  });

  it("leaves the sentence as it is if no SDK version is late more often", () => {
    const values = ["1.0", "2.0"].map((value) => identitiesOf(value, 500, 500, { late: 50 }));
    const breakdowns = { splitFrom: FROM, dimensions: [{ dimension: "sdk_version", values }] };
    const [check] = explainHealth(healthWith("late_events", "warning"), breakdowns, VARIANTS).checks;
    expect(check?.detail).toBe("It is off.");
  });

  it("leaves checks that a breakdown can't explain as they are", () => {
    const health = healthWith("window", "warning");
    expect(explainHealth(health, brokenFrom(50), VARIANTS)).toEqual(health);
  });

  it("appends the SDK versions of late events to the sentence", () => {
    const values = [identitiesOf("1.0", 500, 500), identitiesOf("0.9", 50, 50, { late: 90 })];
    const breakdowns = { splitFrom: FROM, dimensions: [{ dimension: "sdk_version", values }] };
    const [check] = explainHealth(healthWith("late_events", "warning"), breakdowns, VARIANTS).checks;
    expect(check?.detail).toBe('It is off. It happens especially with SDK version "0.9".');
  });
});

describe("causeSentence", () => {
  const sentenceOf = (figures: Check["figures"]) =>
    causeSentence({ name: "sample_ratio", status: "warning", detail: "It is off.", figures });

  it("is that of the worst cause, else the answer that there is none", () => {
    expect(sentenceOf({ causes: [{ detail: "First." }, { detail: "Second." }], causes_detail: "Both." })).toBe(
      "First.",
    );
    expect(sentenceOf({ causes: [], causes_detail: "None." })).toBe("None.");
    expect(sentenceOf(NO_CAUSES)).toBe(null);
    expect(sentenceOf({})).toBe(null);
  });
});

describe("serialiseWithin", () => {
  const summary = summarise([], { from: FROM, to: FROM + DAY }, ["control"]);
  const plain = healthWith("sample_ratio", "unhealthy");
  const withText = (length: number): Health => ({
    ...plain,
    checks: plain.checks.map((check) => ({ ...check, figures: { causes_detail: "x".repeat(length) } })),
  });

  it("drops causes that do not fit into a row, and keeps the numbers", () => {
    const small = withText(1000);
    expect(serialiseWithin(summary, [small, plain])).toMatchObject({ ok: true, value: { health: small } });
    expect(serialiseWithin(summary, [withText(1_900_000), plain])).toMatchObject({
      ok: true,
      value: { health: plain },
    });
    expect(serialiseWithin(summary, [withText(1_900_000)])).toEqual({ ok: false, failure: "too_large" });
  });
});
