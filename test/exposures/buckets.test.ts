import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { bucketsOf, DAY, HOUR } from "../../src/exposures/buckets.ts";

const time = (text: string) => Date.parse(text);

/** Where each bucket begins, as ISO text. */
function starts(from: string, to: string): string[] {
  const { first, size, count } = bucketsOf({ from: time(from), to: time(to) });
  expect(count).toBeGreaterThanOrEqual(0);
  return Array.from({ length: count }, (_, index) => new Date(first + index * size).toISOString());
}

describe("a window's granularity", () => {
  const from = time("2026-06-01T10:20:30.400Z");
  it.each([
    { window: "of an hour", length: HOUR, granularity: "hour" },
    { window: "of exactly 72 h", length: 72 * HOUR, granularity: "hour" },
    { window: "of 72 h and a millisecond", length: 72 * HOUR + 1, granularity: "day" },
    { window: "of a year", length: 365 * DAY, granularity: "day" },
    { window: "of no length", length: 0, granularity: "hour" },
  ])("is the $granularity for one $window", ({ length, granularity }) => {
    const buckets = bucketsOf({ from, to: from + length });
    expect(buckets.granularity).toBe(granularity);
    expect(buckets.size).toBe(granularity === "hour" ? HOUR : DAY);
  });
});

describe("a window's buckets", () => {
  it.each([
    {
      window: "that ends on a bucket's edge has no bucket beyond the edge",
      from: "2026-06-01T00:00:00.000Z",
      to: "2026-06-01T02:00:00.000Z",
      expected: ["2026-06-01T00:00:00.000Z", "2026-06-01T01:00:00.000Z"],
    },
    {
      window: "that ends a millisecond after an edge has one more",
      from: "2026-06-01T00:00:00.000Z",
      to: "2026-06-01T02:00:00.001Z",
      expected: ["2026-06-01T00:00:00.000Z", "2026-06-01T01:00:00.000Z", "2026-06-01T02:00:00.000Z"],
    },
    {
      window: "that is shorter than a bucket has that bucket",
      from: "2026-06-01T10:20:00.000Z",
      to: "2026-06-01T10:21:00.000Z",
      expected: ["2026-06-01T10:00:00.000Z"],
    },
    {
      window: "that is shorter than a bucket but lies across an edge has two",
      from: "2026-06-01T10:59:59.999Z",
      to: "2026-06-01T11:00:00.001Z",
      expected: ["2026-06-01T10:00:00.000Z", "2026-06-01T11:00:00.000Z"],
    },
    {
      window: "of one millisecond at the very end of a bucket has that bucket",
      from: "2026-06-01T10:59:59.999Z",
      to: "2026-06-01T11:00:00.000Z",
      expected: ["2026-06-01T10:00:00.000Z"],
    },
    {
      window: "that is empty on an edge has none",
      from: "2026-06-01T10:00:00.000Z",
      to: "2026-06-01T10:00:00.000Z",
      expected: [],
    },
    {
      window: "that is empty inside a bucket has the bucket that holds its start",
      from: "2026-06-01T10:30:00.000Z",
      to: "2026-06-01T10:30:00.000Z",
      expected: ["2026-06-01T10:00:00.000Z"],
    },
    {
      window: "that ends before it begins has none",
      from: "2026-06-01T10:30:00.000Z",
      to: "2026-06-01T07:30:00.000Z",
      expected: [],
    },
    {
      window: "of days that starts in the middle of one has the whole of it",
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
      window: "of days across a leap day has it",
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
      window: "of days in February of a common year has no leap day",
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
      window: "of days across the turn of the year goes on into January",
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
      window: "of hours across the turn of the year goes on into January",
      from: "2026-12-31T23:00:00.000Z",
      to: "2027-01-01T01:00:00.000Z",
      expected: ["2026-12-31T23:00:00.000Z", "2027-01-01T00:00:00.000Z"],
    },
  ])("one $window", ({ from, to, expected }) => {
    expect(starts(from, to)).toEqual(expected);
  });

  it("are 731 days from a New Year to the New Year after next, with a leap year between", () => {
    expect(starts("2027-01-01T00:00:00.000Z", "2029-01-01T00:00:00.000Z")).toHaveLength(731);
  });

  it("cover the window with no gap and no bucket too many", () => {
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

describe("daylight saving", () => {
  const zone = process.env["TZ"];
  afterEach(() => {
    if (zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = zone;
  });

  it.each([
    { day: "the day that has 23 hours in New York", date: "2026-03-08", zone: "America/New_York", hours: 23 },
    { day: "the day that has 25 hours in New York", date: "2026-11-01", zone: "America/New_York", hours: 25 },
    { day: "the day that has 23 hours in Berlin", date: "2026-03-29", zone: "Europe/Berlin", hours: 23 },
    { day: "the day that has 23½ hours on Lord Howe", date: "2026-10-04", zone: "Australia/Lord_Howe", hours: 23.5 },
  ])("$day is 24 hours in UTC", ({ date, zone, hours }) => {
    process.env["TZ"] = zone;
    const [year = 0, month = 0, day = 0] = date.split("-").map(Number);
    const local = (offset: number) => new Date(year, month - 1, day + offset).getTime();
    expect((local(1) - local(0)) / HOUR, "this process is in the zone").toBe(hours);

    const midnight = time(`${date}T00:00:00.000Z`);
    const inHours = bucketsOf({ from: midnight, to: midnight + DAY });
    expect(inHours).toEqual({ granularity: "hour", size: HOUR, first: midnight, count: 24 });
    const inDays = bucketsOf({ from: midnight - 2 * DAY, to: midnight + 2 * DAY });
    expect(inDays).toEqual({ granularity: "day", size: DAY, first: midnight - 2 * DAY, count: 4 });
  });
});
