import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { bucketsOf, DAY, HOUR } from "../../src/exposures/buckets.ts";

const time = (text: string) => Date.parse(text);

/** The start of each bucket as ISO text. */
function bucketStarts(from: string, to: string): string[] {
  const { first, size, count } = bucketsOf({ from: time(from), to: time(to) });
  expect(count).toBeGreaterThanOrEqual(0);
  return Array.from({ length: count }, (_, index) => new Date(first + index * size).toISOString());
}

describe("bucketsOf › granularity", () => {
  const from = time("2026-06-01T10:20:30.400Z");
  it.each([
    { window: "a window of 1 h", length: HOUR, granularity: "hour" },
    { window: "a window of exactly 72 h", length: 72 * HOUR, granularity: "hour" },
    { window: "a window of 72 h and 1 ms", length: 72 * HOUR + 1, granularity: "day" },
    { window: "a window of a year", length: 365 * DAY, granularity: "day" },
    { window: "an empty window", length: 0, granularity: "hour" },
  ])("is the $granularity for $window", ({ length, granularity }) => {
    const buckets = bucketsOf({ from, to: from + length });
    expect(buckets.granularity).toBe(granularity);
    expect(buckets.size).toBe(granularity === "hour" ? HOUR : DAY);
  });
});

describe("bucketsOf", () => {
  it.each([
    {
      behaviour: "adds no bucket after a window that ends on a bucket boundary",
      from: "2026-06-01T00:00:00.000Z",
      to: "2026-06-01T02:00:00.000Z",
      expected: ["2026-06-01T00:00:00.000Z", "2026-06-01T01:00:00.000Z"],
    },
    {
      behaviour: "adds a bucket for a window that ends 1 ms after a boundary",
      from: "2026-06-01T00:00:00.000Z",
      to: "2026-06-01T02:00:00.001Z",
      expected: ["2026-06-01T00:00:00.000Z", "2026-06-01T01:00:00.000Z", "2026-06-01T02:00:00.000Z"],
    },
    {
      behaviour: "covers a window inside one bucket with that bucket",
      from: "2026-06-01T10:20:00.000Z",
      to: "2026-06-01T10:21:00.000Z",
      expected: ["2026-06-01T10:00:00.000Z"],
    },
    {
      behaviour: "covers a short window across a boundary with two buckets",
      from: "2026-06-01T10:59:59.999Z",
      to: "2026-06-01T11:00:00.001Z",
      expected: ["2026-06-01T10:00:00.000Z", "2026-06-01T11:00:00.000Z"],
    },
    {
      behaviour: "covers the last millisecond of a bucket with that bucket",
      from: "2026-06-01T10:59:59.999Z",
      to: "2026-06-01T11:00:00.000Z",
      expected: ["2026-06-01T10:00:00.000Z"],
    },
    {
      behaviour: "returns no bucket for an empty window on a boundary",
      from: "2026-06-01T10:00:00.000Z",
      to: "2026-06-01T10:00:00.000Z",
      expected: [],
    },
    {
      behaviour: "returns the enclosing bucket for an empty window inside a bucket",
      from: "2026-06-01T10:30:00.000Z",
      to: "2026-06-01T10:30:00.000Z",
      expected: ["2026-06-01T10:00:00.000Z"],
    },
    {
      behaviour: "returns no bucket for a window that ends before it starts",
      from: "2026-06-01T10:30:00.000Z",
      to: "2026-06-01T07:30:00.000Z",
      expected: [],
    },
    {
      behaviour: "includes the whole first day of a window that starts during it",
      from: "2026-06-01T23:59:59.999Z",
      to: "2026-06-05T00:00:00.000Z",
      expected: [
        "2026-06-01T00:00:00.000Z",
        "2026-06-02T00:00:00.000Z",
        "2026-06-03T00:00:00.000Z",
        "2026-06-04T00:00:00.000Z",
      ],
    },
    {
      behaviour: "includes the leap day of a leap year",
      from: "2028-02-27T12:00:00.000Z",
      to: "2028-03-02T00:00:00.000Z",
      expected: [
        "2028-02-27T00:00:00.000Z",
        "2028-02-28T00:00:00.000Z",
        "2028-02-29T00:00:00.000Z",
        "2028-03-01T00:00:00.000Z",
      ],
    },
    {
      behaviour: "includes no leap day in a common year",
      from: "2027-02-26T12:00:00.000Z",
      to: "2027-03-02T00:00:00.000Z",
      expected: [
        "2027-02-26T00:00:00.000Z",
        "2027-02-27T00:00:00.000Z",
        "2027-02-28T00:00:00.000Z",
        "2027-03-01T00:00:00.000Z",
      ],
    },
    {
      behaviour: "continues daily buckets across the turn of the year",
      from: "2026-12-30T01:00:00.000Z",
      to: "2027-01-02T02:00:00.000Z",
      expected: [
        "2026-12-30T00:00:00.000Z",
        "2026-12-31T00:00:00.000Z",
        "2027-01-01T00:00:00.000Z",
        "2027-01-02T00:00:00.000Z",
      ],
    },
    {
      behaviour: "continues hourly buckets across the turn of the year",
      from: "2026-12-31T23:00:00.000Z",
      to: "2027-01-01T01:00:00.000Z",
      expected: ["2026-12-31T23:00:00.000Z", "2027-01-01T00:00:00.000Z"],
    },
  ])("$behaviour", ({ from, to, expected }) => {
    expect(bucketStarts(from, to)).toEqual(expected);
  });

  it("covers two years, one of them a leap year, with 731 days", () => {
    expect(bucketStarts("2027-01-01T00:00:00.000Z", "2029-01-01T00:00:00.000Z")).toHaveLength(731);
  });

  it("covers any window without gaps or surplus buckets", () => {
    const window = fc.tuple(
      fc.integer({ min: 0, max: Date.UTC(2100, 0) }),
      fc.oneof(fc.integer({ min: 1, max: 73 * HOUR }), fc.integer({ min: 1, max: 400 * DAY })),
    );
    fc.assert(
      fc.property(window, ([from, length]) => {
        const to = from + length;
        const { first, size, count } = bucketsOf({ from, to });
        expect(first % size).toBe(0);
        expect(first).toBeLessThanOrEqual(from);
        expect(first + size).toBeGreaterThan(from);
        const end = first + count * size;
        expect(end).toBeGreaterThanOrEqual(to);
        expect(end - size).toBeLessThan(to);
      }),
    );
  });
});

describe("bucketsOf › daylight saving time", () => {
  const zone = process.env["TZ"];
  afterEach(() => {
    if (zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = zone;
  });

  it.each([
    { day: "a day of 23 hours in New York", date: "2026-03-08", zone: "America/New_York", hours: 23 },
    { day: "a day of 25 hours in New York", date: "2026-11-01", zone: "America/New_York", hours: 25 },
    { day: "a day of 23 hours in Berlin", date: "2026-03-29", zone: "Europe/Berlin", hours: 23 },
    { day: "a day of 23½ hours on Lord Howe", date: "2026-10-04", zone: "Australia/Lord_Howe", hours: 23.5 },
  ])("divides $day into 24 UTC hours", ({ date, zone, hours }) => {
    process.env["TZ"] = zone;
    const [year = 0, month = 0, day = 0] = date.split("-").map(Number);
    const local = (offset: number) => new Date(year, month - 1, day + offset).getTime();
    expect((local(1) - local(0)) / HOUR, "the process is in the zone").toBe(hours);

    const midnight = time(`${date}T00:00:00.000Z`);
    const inHours = bucketsOf({ from: midnight, to: midnight + DAY });
    expect(inHours).toEqual({ granularity: "hour", size: HOUR, first: midnight, count: 24 });
    const inDays = bucketsOf({ from: midnight - 2 * DAY, to: midnight + 2 * DAY });
    expect(inDays).toEqual({ granularity: "day", size: DAY, first: midnight - 2 * DAY, count: 4 });
  });
});
