import { describe, expect, it } from "vitest";
import { DAY, HOUR } from "../../src/exposures/buckets.ts";
import { identitiesPerDay } from "../../src/panel/pace.ts";
import type { Exposures } from "../../src/panel/parse-exposures.ts";

const START = Date.UTC(2026, 5, 1);

/** Exposures with one list of new identities per variant. */
function exposuresOf(granularity: Exposures["granularity"], ...added: readonly number[][]): Exposures {
  const size = granularity === "hour" ? HOUR : DAY;
  return {
    total: 0,
    excluded: 0,
    granularity,
    health: { status: "healthy", checks: [] },
    buckets: (added[0] ?? []).map((_, index) => START + index * size),
    variants: added.map((added, index) => ({ key: `v${index}`, total: 0, added, cumulative: [] })),
  };
}

describe("identitiesPerDay", () => {
  it("is the number of new identities of the last complete day, of all variants", () => {
    const exposures = exposuresOf("day", [100, 30, 7], [200, 40, 8]);
    expect(identitiesPerDay(exposures, START + 2.5 * DAY)).toBe(30 + 40);
  });

  it("counts a bucket as complete from its end on", () => {
    const exposures = exposuresOf("day", [100, 30]);
    expect(identitiesPerDay(exposures, START + 2 * DAY - 1)).toBe(100);
    expect(identitiesPerDay(exposures, START + 2 * DAY)).toBe(30);
  });

  it("adds up the last 24 complete hours", () => {
    const hours = [...Array(10).fill(1000), ...Array.from({ length: 24 }, (_, hour) => hour), 5000];
    expect(identitiesPerDay(exposuresOf("hour", hours), START + 34.5 * HOUR)).toBe((23 * 24) / 2);
  });

  it("projects fewer complete hours to a day", () => {
    const exposures = exposuresOf("hour", [10, 20, 30, 900], [0, 0, 12, 0]);
    expect(identitiesPerDay(exposures, START + 3.9 * HOUR)).toBe(((10 + 20 + 30 + 12) / 3) * 24);
  });

  it.each(["hour", "day"] as const)("is null until the first %s is complete", (granularity) => {
    const exposures = exposuresOf(granularity, [10, 10]);
    const end = START + (granularity === "hour" ? HOUR : DAY);
    expect(identitiesPerDay(exposures, end - 1)).toBeNull();
    expect(identitiesPerDay(exposures, end)).not.toBeNull();
    expect(identitiesPerDay(exposuresOf(granularity), end)).toBeNull();
  });

  it("is null while no identity is new, which says nothing about the days to come", () => {
    expect(identitiesPerDay(exposuresOf("day", [100, 0]), START + 2 * DAY)).toBeNull();
  });
});
