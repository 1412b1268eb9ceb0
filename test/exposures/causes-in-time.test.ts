import { describe, expect, it } from "vitest";
import { HOUR } from "../../src/exposures/buckets.ts";
import { findCauses } from "../../src/exposures/causes.ts";
import { breakdowns, hours, START, value, variants, versions } from "../support/breakdowns.ts";

describe("findCauses › first_exposure", () => {
  const fair: [number, number] = [300, 300];

  it.each([
    { what: "a single hour", from: 14, to: 15, name: "The time from 2026-06-03 14:00 UTC to 2026-06-03 15:00 UTC" },
    { what: "the first hours", from: 0, to: 3, name: "The time before 2026-06-03 03:00 UTC" },
    { what: "the last hour", from: 23, to: 24, name: "The time from 2026-06-03 23:00 UTC on" },
  ])("names $what", ({ from, to, name }) => {
    const time = hours(24, (hour) => (hour >= from && hour < to ? [600, 300] : fair));
    const { causes, beganAt } = findCauses("sample_ratio", breakdowns(time), variants);
    expect(causes).toMatchObject([{ value: String(START + from * HOUR), isFairWithout: true }]);
    expect(causes[0]?.detail.startsWith(`${name}: `)).toBe(true);
    expect(beganAt).toBe(to === 24 ? START + from * HOUR : null);
  });

  it("names two periods", () => {
    const time = hours(48, (hour) => ([5, 6, 30].includes(hour) ? [600, 200] : fair));
    const { causes } = findCauses("sample_ratio", breakdowns(time), variants);
    expect(causes.map(({ value, identities }) => [value, identities.get("control")])).toEqual([
      [String(START + 5 * HOUR), 1200],
      [String(START + 30 * HOUR), 600],
    ]);
  });

  it("names the version, and says when it began", () => {
    const time = hours(24, (hour) => (hour < 14 ? fair : [400, 300]));
    const release = versions(value("10.1.0", 6300, 6300), value("10.2.0", 1900, 900));
    expect(findCauses("sample_ratio", breakdowns(release, time), variants)).toMatchObject({
      causes: [{ dimension: "sdk_version", value: "10.2.0" }],
      beganAt: START + 14 * HOUR,
      detail: 'It is explained by "10.2.0" (sdk_version). It began at 2026-06-03 14:00 UTC.',
    });
  });

  it("says when it began although the last hour has few identities, and fair ones", () => {
    const time = hours(24, (hour) => (hour < 14 ? fair : hour < 23 ? [400, 300] : [20, 21]));
    expect(findCauses("sample_ratio", breakdowns(time), variants).beganAt).toBe(START + 14 * HOUR);
  });

  it("does not say that it began where it was off before", () => {
    const time = hours(24, (hour) => (hour < 14 ? [345, 300] : [600, 300]));
    expect(findCauses("sample_ratio", breakdowns(time), variants)).toMatchObject({
      causes: [{ value: String(START + 14 * HOUR), isFairWithout: false }],
      beganAt: null,
    });
  });
});
