import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { serialise } from "../../src/exposures/serialise.ts";
import { summarise } from "../../src/exposures/summary.ts";
import { connectWarehouse, type Warehouse } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import { countByBruteForce, withMaps } from "../support/brute-force.ts";
import { unchecked } from "../support/unchecked.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FEATURE = "calendar";
const VARIANTS = ["control", "treatment"];

let warehouse: TestWarehouse;
let connection: Warehouse;
let count = 0;
beforeAll(async () => {
  warehouse = await createWarehouse();
  connection = connectWarehouse(warehouse.settings);
});

const zone = process.env["TZ"];
afterEach(() => {
  if (zone === undefined) delete process.env["TZ"];
  else process.env["TZ"] = zone;
});

/** The same warehouse with the session time zone that a server or a user's profile may set. */
const inZone = (name: string): Warehouse => ({
  ...connection,
  select: (sql, parameters) => connection.select(`${sql} SETTINGS session_timezone = '${name}'`, parameters),
});

type Span = { from: number; to: number };

/**
 * Events at each of these times, and a millisecond before and after it: one of a new identity, one of the same identity
 * each time, and one of an identity that sees both variants.
 */
function eventsAt(environment_key: string, times: readonly number[]): Event[] {
  const event = { environment_key, feature_name: FEATURE };
  return times.flatMap((time, index) =>
    [-1, 0, 1].flatMap((off) => {
      const timestamp = time + off;
      if (timestamp < 0) return [];
      const value = VARIANTS[(index + off + 1) % 2] ?? "";
      return [
        { ...event, identifier: `own-${index}-${off}`, value, timestamp },
        { ...event, identifier: "again", value: "control", timestamp },
        { ...event, identifier: "both", value, timestamp },
      ];
    }),
  );
}

/** Evenly spaced times from one edge of the window to the other. */
const spread = ({ from, to }: Span, pieces: number) =>
  Array.from({ length: pieces + 1 }, (_, index) => from + Math.round((index * (to - from)) / pieces));

/** Checks a window's exposures against a brute-force count, and that no bucket is missing or repeated. */
async function check(server: Warehouse, environmentKey: string, events: readonly Event[], window: Span) {
  const counts = await countExposures(server, { environmentKey, featureName: FEATURE, window });
  if (!counts.ok) throw new Error(JSON.stringify(counts.failure));
  const exposures = JSON.parse(serialise(summarise(counts.value.counts, window, VARIANTS), unchecked));
  const query = { environment_key: environmentKey, feature_name: FEATURE, variants: VARIANTS, ...window };
  expect(withMaps(exposures)).toEqual(countByBruteForce(events, query));
  expect(exposures.total_identities).toBeGreaterThan(0);
  const { granularity, points } = exposures.timeseries;
  const starts: number[] = points.map(({ bucket }: { bucket: string }) => Date.parse(bucket));
  const steps = starts.slice(1).map((start, index) => start - (starts[index] ?? 0));
  expect(steps.every((step) => step === (granularity === "hour" ? HOUR : DAY))).toBe(true);
  return { granularity, starts };
}

describe("a day of a daylight saving change", () => {
  it.each([
    { zone: "America/New_York", date: "2026-03-08", hours: 23 },
    { zone: "America/New_York", date: "2026-11-01", hours: 25 },
    { zone: "Europe/Berlin", date: "2026-03-29", hours: 23 },
    { zone: "Europe/Berlin", date: "2026-10-25", hours: 25 },
    { zone: "Australia/Lord_Howe", date: "2026-04-05", hours: 24.5 },
    { zone: "Australia/Lord_Howe", date: "2026-10-04", hours: 23.5 },
  ])(
    "has 24 hours in UTC, even if process and server are in $zone, where $date has $hours",
    async ({ zone, date, hours }) => {
      process.env["TZ"] = zone;
      const [year = 0, month = 0, day = 0] = date.split("-").map(Number);
      const local = (offset: number) => new Date(year, month - 1, day + offset).getTime();
      const [midnight, next] = [local(0), local(1)];
      expect((next - midnight) / HOUR, "this process is in the zone").toBe(hours);

      count += 1;
      const environment = `daylight-${count}`;
      const utc = Date.parse(`${date}T00:00:00.000Z`);
      const events = eventsAt(environment, [...spread({ from: utc - DAY, to: utc + 2 * DAY }, 72), midnight, next]);
      await warehouse.insert(events);
      for (const server of [connection, inZone(zone)]) {
        const windows = {
          day: await check(server, environment, events, { from: utc, to: utc + DAY }),
          localDay: await check(server, environment, events, { from: midnight, to: next }),
          hours: await check(server, environment, events, { from: midnight - DAY, to: midnight + 2 * DAY }),
          days: await check(server, environment, events, { from: midnight - DAY, to: midnight + 2 * DAY + 1 }),
        };
        expect(windows.day.starts).toEqual(Array.from({ length: 24 }, (_, hour) => utc + hour * HOUR));
        const partialBuckets = midnight % HOUR === 0 && next % HOUR === 0 ? 0 : 0.5;
        expect(windows.localDay.starts).toHaveLength(hours + partialBuckets);
        expect(windows.hours.granularity, "72 h of UTC have hourly buckets").toBe("hour");
        expect(windows.days.granularity).toBe("day");
        expect(windows.days.starts).toHaveLength(4);
      }
    },
  );
});

describe("a window", () => {
  const time = Date.parse;
  it.each([
    { across: "a leap day", from: "2028-02-28T00:00:00Z", to: "2028-03-05T00:00:00Z", buckets: 6 },
    { across: "a leap day, in hours", from: "2028-02-28T12:00:00Z", to: "2028-03-01T12:00:00Z", buckets: 48 },
    { across: "the leap day of 2000", from: "2000-02-27T00:00:00Z", to: "2000-03-02T00:00:00Z", buckets: 4 },
    {
      across: "the end of February 2100, no leap year",
      from: "2100-02-27T00:00:00Z",
      to: "2100-03-03T00:00:00Z",
      buckets: 4,
    },
    {
      across: "the end of February 2100, in hours",
      from: "2100-02-28T12:00:00Z",
      to: "2100-03-01T12:00:00Z",
      buckets: 24,
    },
    { across: "a New Year", from: "2026-12-20T07:00:00Z", to: "2027-01-10T07:00:00Z", buckets: 22 },
    { across: "a New Year, of exactly 72 h", from: "2026-12-30T12:00:00Z", to: "2027-01-02T12:00:00Z", buckets: 72 },
    {
      across: "a New Year, of 72 h and 1 ms",
      from: "2026-12-30T12:00:00Z",
      to: "2027-01-02T12:00:00.001Z",
      buckets: 4,
    },
    { across: "four years", from: "2026-06-01T10:30:00Z", to: "2030-06-01T10:30:00Z", buckets: 1462 },
    { across: "the first days of 1970", from: "1970-01-01T00:00:00Z", to: "1970-01-10T00:00:00Z", buckets: 9 },
    { across: "the first ms of 1970", from: "1970-01-01T00:00:00Z", to: "1970-01-01T00:00:00.001Z", buckets: 1 },
    { across: "the end of 32-bit seconds", from: "2038-01-18T00:00:00Z", to: "2038-01-21T00:00:00Z", buckets: 72 },
    {
      across: "the end of unsigned 32-bit seconds",
      from: "2106-02-05T00:00:00Z",
      to: "2106-02-10T00:00:00Z",
      buckets: 5,
    },
    // Not across 2149-06-06, the last day of the Date type that the table is partitioned by: ClickHouse finds fewer events.
    { across: "the last days of 2299", from: "2299-12-25T00:00:00Z", to: "2299-12-31T23:59:59.999Z", buckets: 7 },
    { across: "the last hours of 2299", from: "2299-12-31T20:00:00Z", to: "2299-12-31T23:59:59.999Z", buckets: 4 },
  ])("across $across has $buckets buckets and the numbers of a brute-force count", async ({ from, to, buckets }) => {
    count += 1;
    const environment = `window-${count}`;
    const window = { from: time(from), to: time(to) };
    const events = eventsAt(environment, spread(window, 24));
    await warehouse.insert(events);
    for (const server of [connection, inZone("America/New_York"), inZone("Pacific/Kiritimati")]) {
      expect((await check(server, environment, events, window)).starts).toHaveLength(buckets);
    }
  });
});
