import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { serialise } from "../../src/exposures/serialise.ts";
import { summarise } from "../../src/exposures/summary.ts";
import { connectWarehouse, type Warehouse } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import { HOUR, scenario } from "../support/arbitrary.ts";
import { collectionByBruteForce, countByBruteForce, withMaps } from "../support/brute-force.ts";
import { runs } from "../support/runs.ts";
import { unchecked } from "../support/unchecked.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";

const FEATURE = 'it\'s \\a "feature"\n';
const from = Date.UTC(2026, 5, 1);

let warehouse: TestWarehouse;
let connection: Warehouse;
beforeAll(async () => {
  warehouse = await createWarehouse();
  connection = connectWarehouse(warehouse.settings);
});

/** The exposures of a window, with the text that a refresh would store. */
async function exposuresOf(environmentKey: string, window: { from: number; to: number }, configured: string[]) {
  const counts = await countExposures(connection, { environmentKey, featureName: FEATURE, window });
  if (!counts.ok) throw new Error(JSON.stringify(counts.failure));
  return { text: serialise(summarise(counts.value.counts, window, configured), unchecked), ...counts.value };
}

describe("countExposures", () => {
  it("equals a brute-force count for any events, in any order and with duplicates", async () => {
    await fc.assert(
      fc.asyncProperty(
        scenario,
        fc.infiniteStream(fc.nat()),
        async ({ from, to, configured, eventsOf }, randomNumbers) => {
          const environments = [randomUUID(), randomUUID(), randomUUID()] as const;
          const shuffled = (events: Event[]) =>
            events.map((event) => ({ event, order: randomNumbers.next().value })).sort((a, b) => a.order - b.order);
          await warehouse.insert([
            ...eventsOf(environments[0], FEATURE),
            ...shuffled(eventsOf(environments[1], FEATURE)).map(({ event }) => event),
            ...eventsOf(environments[2], FEATURE),
          ]);
          await warehouse.insert(eventsOf(environments[2], FEATURE));

          const [inOrder, outOfOrder, twice] = await Promise.all(
            environments.map((environment) => exposuresOf(environment, { from, to }, configured)),
          );
          expect(outOfOrder?.text).toBe(inOrder?.text);
          expect(twice?.text).toBe(inOrder?.text);
          const query = { environment_key: environments[0], feature_name: FEATURE, variants: configured, from, to };
          const events = eventsOf(environments[0], FEATURE);
          expect(withMaps(JSON.parse(inOrder?.text ?? ""))).toEqual(countByBruteForce(events, query));
          const collection = collectionByBruteForce(events, query);
          expect(inOrder?.collection).toEqual(collection);
          expect(outOfOrder?.collection).toEqual(collection);
          const { invalidEvents, events: all } = collection;
          expect(twice?.collection).toEqual({ ...collection, invalidEvents: 2 * invalidEvents, events: 2 * all });
        },
      ),
      { numRuns: runs(25) },
    );
  });

  it("uses UTC in any time zone of the server", async () => {
    const environmentKey = randomUUID();
    const event = { environment_key: environmentKey, feature_name: FEATURE, value: "control" };
    await warehouse.insert([
      { ...event, identifier: "early", timestamp: from },
      { ...event, identifier: "late", timestamp: from + 24 * HOUR - 1 },
      { ...event, identifier: "next day", timestamp: from + 24 * HOUR },
    ]);
    const window = { from, to: from + 96 * HOUR };
    const inUtc = await countExposures(connection, { environmentKey, featureName: FEATURE, window });
    expect(inUtc).toMatchObject({ ok: true, value: { counts: { length: 2 } } });
    for (const zone of ["America/New_York", "Asia/Kathmandu", "Pacific/Chatham"]) {
      const inZone: Warehouse = {
        ...connection,
        select: (sql, parameters) => connection.select(`${sql} SETTINGS session_timezone = '${zone}'`, parameters),
      };
      const counts = await countExposures(inZone, { environmentKey, featureName: FEATURE, window });
      expect(counts.ok && new Set(counts.value.counts), zone).toEqual(inUtc.ok && new Set(inUtc.value.counts));
      expect(counts.ok && counts.value.collection, zone).toEqual(inUtc.ok && inUtc.value.collection);
    }
  });

  it("includes an event at started_at and excludes one at as_of", async () => {
    const environmentKey = randomUUID();
    const event = { environment_key: environmentKey, feature_name: FEATURE, value: "control" };
    const to = from + HOUR;
    await warehouse.insert([
      { ...event, identifier: "just before", timestamp: from - 1 },
      { ...event, identifier: "at the start", timestamp: from },
      { ...event, identifier: "just in time", timestamp: to - 1 },
      { ...event, identifier: "at the end", timestamp: to },
    ]);
    const counts = await countExposures(connection, { environmentKey, featureName: FEATURE, window: { from, to } });
    expect(counts).toEqual({
      ok: true,
      value: {
        counts: [{ multiple: false, variant: "control", bucket: from, identities: 2 }],
        collection: { latestExposureAt: to - 1, lateIdentities: 0, invalidEvents: 0, events: 2 },
      },
    });
  });

  it("distinguishes two variants whose names have the same hash, by a second attempt with another function", async () => {
    const environmentKey = randomUUID();
    const event = { environment_key: environmentKey, feature_name: FEATURE, timestamp: from };
    // These two have the same cityHash64, which the second attempt does not use.
    const names = ["treatment-blue-1", "_Kgw]dqSGTkhEQro"];
    const window = { from, to: from + HOUR };
    const hashes = await connection.select("SELECT uniqExact(cityHash64(arrayJoin({names:Array(String)}))) AS n", {
      names: `['${names.join("','")}']`,
    });
    expect(hashes).toEqual({ ok: true, value: [{ n: 1 }] });
    await warehouse.insert([
      ...names.map((value) => ({ ...event, identifier: `only ${value}`, value })),
      ...names.map((value) => ({ ...event, identifier: "both", value })),
    ]);
    const counts = await countExposures(connection, { environmentKey, featureName: FEATURE, window });
    expect(new Set(counts.ok ? counts.value.counts : [])).toEqual(
      new Set([
        { multiple: true, identities: 1 },
        ...names.map((variant) => ({ multiple: false, variant, bucket: from, identities: 1 })),
      ]),
    );
  });

  it("spills to disk at the memory limit, with the same numbers", async () => {
    const environmentKey = randomUUID();
    await warehouse.command(`INSERT INTO ${warehouse.settings.database}.events
      (environment_key, event, feature_name, timestamp, collected_at, identifier, value)
      SELECT '${environmentKey}', '$flag_exposure', 'button', fromUnixTimestamp64Milli(${from} + number % 3600000) AS timestamp,
        timestamp, toString(number % 2000000), if(number % 3 = 0, 'a', 'b') FROM numbers(3000000)`);
    const query = { environmentKey, featureName: "button", window: { from, to: from + HOUR } };
    const inMemory = await countExposures(connection, query);
    const settingsUsed: object[] = [];
    const limited: Warehouse = {
      ...connection,
      select: (sql, parameters, settings = {}) => {
        settingsUsed.push(settings);
        return connection.select(sql, parameters, { ...settings, max_memory_usage: "300000000" });
      },
    };
    expect(await countExposures(limited, query)).toEqual({
      ok: true,
      value: {
        ...(inMemory.ok && inMemory.value),
        counts: expect.arrayContaining(inMemory.ok ? inMemory.value.counts : []),
      },
    });
    const spilling = { max_bytes_before_external_group_by: "100000000" };
    expect(settingsUsed).toEqual([{}, expect.objectContaining(spilling)]);
  });

  const fillLong = (feature: string, events: number, value: string, identifier = "toString(number)") =>
    warehouse.command(`INSERT INTO ${warehouse.settings.database}.events
      (environment_key, event, feature_name, timestamp, collected_at, identifier, value)
      SELECT 'long', '$flag_exposure', '${feature}', fromUnixTimestamp64Milli(${from}) AS timestamp, timestamp,
        ${identifier}, ${value} FROM numbers(${events})`);

  /** Counts in little memory. */
  function countOf(featureName: string) {
    const limited: Warehouse = {
      ...connection,
      select: (sql, parameters) => connection.select(sql, parameters, { max_memory_usage: "60000000" }),
    };
    return countExposures(limited, { environmentKey: "long", featureName, window: { from, to: from + HOUR } });
  }

  it("fails with too_large if a variant has more than 1,000 bytes, in little memory", async () => {
    await fillLong("1 MB", 100, "concat(toString(number), repeat('x', 1000000))");
    await fillLong("1,001 bytes", 1, "repeat('ü', 501)");
    await fillLong("1,000 bytes", 2, "repeat('ü', 500)");
    expect(await countOf("1 MB")).toMatchObject({ ok: false, failure: { kind: "too_large" } });
    expect(await countOf("1,001 bytes")).toMatchObject({ ok: false, failure: { kind: "too_large" } });
    expect(await countOf("1,000 bytes")).toMatchObject({ ok: true, value: { counts: [{ identities: 2 }] } });
  });

  it("counts invalid events with long values, in little memory", async () => {
    await fillLong("invalid", 100, "concat(toString(number), repeat('x', 1000000))", "''");
    await fillLong("invalid", 2, "'control'");
    expect(await countOf("invalid")).toEqual({
      ok: true,
      value: {
        counts: [{ multiple: false, variant: "control", bucket: from, identities: 2 }],
        collection: { latestExposureAt: from, lateIdentities: 0, invalidEvents: 100, events: 102 },
      },
    });
  });

  it("fails with too_large if the variants' names are too long together", async () => {
    await warehouse.command(`INSERT INTO ${warehouse.settings.database}.events
      (environment_key, event, feature_name, timestamp, collected_at, identifier, value)
      SELECT 'many', '$flag_exposure', 'button', fromUnixTimestamp64Milli(${from}) AS timestamp, timestamp, toString(number),
        rightPad(toString(number), 1000) FROM numbers(10000)`);
    const query = { environmentKey: "many", featureName: "button", window: { from, to: from + HOUR } };
    expect(await countExposures(connection, query)).toMatchObject({ ok: false, failure: { kind: "too_large" } });
  });

  it("names each of 2,000 variants, besides 2,000 others that only an excluded identity saw", async () => {
    const environmentKey = randomUUID();
    const event = { environment_key: environmentKey, feature_name: FEATURE, timestamp: from };
    const alone = Array.from({ length: 2000 }, (_, index) => ({
      ...event,
      identifier: `i${index}`,
      value: `v${index}`,
    }));
    const shared = alone.map(({ value }) => ({ ...event, identifier: "all", value: `${value} too` }));
    await warehouse.insert([...alone, ...shared]);
    const query = { environmentKey, featureName: FEATURE, window: { from, to: from + HOUR } };
    const counts = await countExposures(connection, query);
    expect(counts.ok && counts.value.counts.length).toBe(2001);
    const variants = new Set(counts.ok ? counts.value.counts.map((count) => !count.multiple && count.variant) : []);
    expect(variants).toEqual(new Set([false, ...alone.map(({ value }) => value)]));
  });

  it("accepts the longest key that the API allows", async () => {
    const longest = "ü".repeat(30_000);
    const query = { environmentKey: longest, featureName: "button", window: { from, to: from + HOUR } };
    const event = { environment_key: longest, feature_name: "button", value: "control", identifier: "ann" };
    await warehouse.insert([{ ...event, timestamp: from }]);
    expect(await countExposures(connection, query)).toMatchObject({
      ok: true,
      value: { counts: [{ identities: 1 }] },
    });
  });

  it("binds values as parameters, so that injected SQL has no effect", async () => {
    const injections = ["' OR 1 = 1 --", "env'); DROP TABLE events; --", "{table:Identifier}", "\\", "\\'", "%", "\0"];
    for (const injection of injections) {
      const query = { environmentKey: injection, featureName: injection, window: { from, to: from + HOUR } };
      expect(await countExposures(connection, query), injection).toMatchObject({ ok: true, value: { counts: [] } });
      const event = { environment_key: injection, feature_name: injection, value: injection, identifier: injection };
      await warehouse.insert([{ ...event, timestamp: from }]);
      const expected = [{ multiple: false, variant: injection, bucket: from, identities: 1 }];
      expect(await countExposures(connection, query), injection).toMatchObject({
        ok: true,
        value: { counts: expected },
      });
    }
    const hostileTable = connectWarehouse({ ...warehouse.settings, table: "events WHERE 1; DROP TABLE events" });
    const query = { environmentKey: "env", featureName: "button", window: { from, to: from + HOUR } };
    expect(await countExposures(hostileTable, query)).toMatchObject({ failure: { kind: "missing_table" } });
    expect(await countExposures(connection, query)).toMatchObject({ ok: true });
  });
});
