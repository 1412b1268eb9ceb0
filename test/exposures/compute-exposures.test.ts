import { describe, expect, it } from "vitest";
import { DAY, HOUR } from "../../src/exposures/buckets.ts";
import { computeExposures, serialiseWithin } from "../../src/exposures/compute-exposures.ts";
import type { Health } from "../../src/exposures/health.ts";
import { type CountedExposures, type ExposureCount, summarise } from "../../src/exposures/summary.ts";
import { MAX_TEXT_BYTES } from "../../src/row-size.ts";

const FROM = Date.UTC(2026, 5, 1);

function compute(
  counts: ExposureCount[],
  { hours = 1, configured = [], endedAt = null }: { hours?: number; configured?: string[]; endedAt?: number | null },
) {
  const counted: CountedExposures = {
    counts,
    collection: { latestExposureAt: null, lateIdentities: 0, invalidEvents: 0, events: 0 },
  };
  const window = { from: FROM, to: FROM + hours * HOUR };
  const variants = configured.map((key) => ({ key, weight: 1 }));
  return computeExposures(counted, window, { variants, endedAt, weightsChangedAt: null }, window.to, 0);
}

const keys = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`);
const seen = (variants: string[]): ExposureCount[] =>
  variants.map((variant) => ({ multiple: false, variant, bucket: FROM, identities: 1 }));

describe("computeExposures", () => {
  // Each variant takes at least 10 bytes in each bucket, and a row has 1,900,000.
  it("fails if variants, configured or seen, times buckets can't fit into a row", () => {
    const configured = keys("configured", 10_000);
    expect(compute(seen(keys("seen", 9_000)), { hours: 10, configured }).ok).toBe(true);
    const tooMany = compute(seen(keys("seen", 9_001)), { hours: 10, configured });
    expect(tooMany).toEqual({ ok: false, failure: "too_large" });
  });

  it("counts a variant that is configured and seen once, and no excluded identities", () => {
    const configured = keys("configured", 19_000);
    const counts: ExposureCount[] = [...seen(configured), { multiple: true, identities: 5 }];
    expect(compute(counts, { hours: 10, configured }).ok).toBe(true);
  });

  it.each([
    { when: "without an end", endedAt: null, sentence: "since the start" },
    { when: "before its end", endedAt: FROM + 3 * DAY, sentence: "since the start" },
    { when: "at its end", endedAt: FROM + 2 * DAY, sentence: "during the experiment" },
  ])("judges an experiment without exposures by whether it runs: $when", ({ endedAt, sentence }) => {
    const computed = compute([], { hours: 48, endedAt });
    const checks = computed.ok ? computed.value.health.checks : [];
    expect(checks.find(({ name }) => name === "exposures_arriving")?.detail).toContain(sentence);
  });
});

describe("serialiseWithin", () => {
  const summary = summarise([], { from: FROM, to: FROM + HOUR }, []);
  const healthOf = (detail: string): Health => ({
    status: "healthy",
    checks: [{ name: "window", status: "healthy", detail, figures: { days: 1, events_ttl_days: 0 } }],
  });
  const sizeWith = (detail: string) => {
    const text = serialiseWithin(summary, [healthOf(detail)]);
    return text.ok ? new TextEncoder().encode(text.value.exposures).byteLength : Number.NaN;
  };
  const room = MAX_TEXT_BYTES - sizeWith("");

  it("fits a row exactly, counted in bytes", () => {
    expect(sizeWith("a".repeat(room))).toBe(MAX_TEXT_BYTES);
    expect(sizeWith(`${"a".repeat(room - 3)}\u2603`)).toBe(MAX_TEXT_BYTES);
    expect(serialiseWithin(summary, [healthOf(`${"a".repeat(room - 2)}\u2603`)])).toEqual({
      ok: false,
      failure: "too_large",
    });
  });

  it("takes the first health that fits", () => {
    const short = healthOf("short");
    const text = serialiseWithin(summary, [healthOf("a".repeat(room + 1)), short, healthOf("other")]);
    expect(text.ok && text.value.health).toBe(short);
  });
});
