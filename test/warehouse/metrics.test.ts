import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { Metric } from "../../src/experiment.ts";
import { connectWarehouse, type Warehouse } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import { countMetrics } from "../../src/warehouse/count-metrics.ts";
import { readMetrics } from "../../src/warehouse/metric-rows.ts";
import { HOUR } from "../support/arbitrary.ts";
import { metricScenario } from "../support/metric-scenario.ts";
import { metricsByBruteForce, momentsOf } from "../support/metrics-by-brute-force.ts";
import { runs } from "../support/runs.ts";
import { createShards } from "../support/shards.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";

const FEATURE = 'it\'s \\a "feature"\n';
const from = Date.UTC(2026, 5, 1);

let warehouse: TestWarehouse;
let connection: Warehouse;
/** Two shards with different rows. */
let halves: Warehouse;
beforeAll(async () => {
  warehouse = await createWarehouse();
  ({ halves } = await createShards(warehouse));
  connection = connectWarehouse({ ...warehouse.settings, table: "all_events" });
});

const metric = (fields: Partial<Metric> = {}): Metric => ({
  key: "metric",
  name: "Metric",
  event: "purchase",
  aggregation: "sum",
  expectedDirection: "increase",
  conversionWindowHours: null,
  lookbackDays: 0,
  ...fields,
});

const queryOf = (environmentKey: string, hours = 6) => ({
  environmentKey,
  featureName: FEATURE,
  window: { from, to: from + hours * HOUR },
});

/** Counts, and throws at a failure. */
async function count(on: Warehouse, environmentKey: string, metrics: readonly Metric[], hours?: number) {
  const counted = await countMetrics(on, queryOf(environmentKey, hours), metrics);
  if (!counted.ok) throw new Error(JSON.stringify(counted.failure));
  return counted.value;
}

type Counted = Awaited<ReturnType<typeof count>>;

/** Compares with brute force: counts exactly, sums to nine digits of the largest number. */
function expectEqual(counted: Counted, expected: ReturnType<typeof metricsByBruteForce>, metrics: readonly Metric[]) {
  expect(counted.metrics.map(({ key, invalidValues }) => ({ key, invalidValues }))).toEqual(
    expected.map(({ key, invalidValues }) => ({ key, invalidValues })),
  );
  for (const [index, { variants }] of expected.entries()) {
    const moments = counted.metrics[index]?.moments ?? new Map();
    expect(new Set(moments.keys())).toEqual(new Set(variants.keys()));
    for (const [variant, values] of variants) {
      const largest = Math.max(1, ...values.y.map(Math.abs), ...values.x.map(Math.abs));
      const close = (number: number, degree: number) => ({
        asymmetricMatch: (other: number) => Math.abs(other - number) <= 1e-9 * values.y.length * largest ** degree,
      });
      const expectedMoments = momentsOf(values, (metrics[index]?.lookbackDays ?? 0) > 0);
      const { identities, sum, squaredDeviations, covariate } = expectedMoments;
      expect(moments.get(variant), JSON.stringify([metrics[index], variant, values])).toEqual({
        identities,
        sum: close(sum, 1),
        squaredDeviations: close(squaredDeviations, 2),
        covariate: covariate && {
          sum: close(covariate.sum, 1),
          squaredDeviations: close(covariate.squaredDeviations, 2),
          productsOfDeviations: close(covariate.productsOfDeviations, 2),
        },
      });
    }
  }
}

const limited = (bytes: number): Warehouse => ({
  ...connection,
  select: (sql, parameters, settings) =>
    connection.select(sql, parameters, { ...settings, max_memory_usage: String(bytes) }),
});

/** Inserts events of SQL columns over `numbers(count)`. */
const insertMany = (
  environmentKey: string,
  count: number,
  columns: Record<"event" | "at" | "identifier" | "value", string>,
) =>
  warehouse.command(`INSERT INTO ${warehouse.settings.database}.all_events
    (environment_key, feature_name, event, timestamp, collected_at, identifier, value)
    SELECT '${environmentKey}', 'it\\'s \\\\a "feature"\\n', ${columns.event},
      fromUnixTimestamp64Milli(toInt64(${from} + ${columns.at})) AS at, at, ${columns.identifier}, ${columns.value}
    FROM numbers(${count})`);
const EXPOSURES = { event: "'$flag_exposure'", at: "0", identifier: "toString(number)", value: "'control'" };

describe("countMetrics", () => {
  it("equals brute force for any events and metrics, in one table and over shards, and counts exposures", async () => {
    await fc.assert(
      fc.asyncProperty(
        metricScenario,
        fc.infiniteStream(fc.boolean()),
        async ({ metrics, hours, eventsOf }, isFirst) => {
          const environmentKey = randomUUID();
          const events = eventsOf(environmentKey, FEATURE, from);
          const { first = [], second = [] } = Object.groupBy(events, () => (isFirst.next().value ? "first" : "second"));
          await Promise.all([
            warehouse.insert(events, "all_events"),
            warehouse.insert(first, "first_events"),
            warehouse.insert(second, "second_events"),
          ]);
          const { window } = queryOf(environmentKey, hours);
          const query = { environment_key: environmentKey, feature_name: FEATURE, ...window };
          const expected = metricsByBruteForce(events, query, metrics);
          const exposures = await countExposures(connection, queryOf(environmentKey, hours));
          const unordered = ({ counts, collection }: Counted["exposures"]) => ({ counts: new Set(counts), collection });
          for (const on of [connection, halves]) {
            const counted = await count(on, environmentKey, metrics, hours);
            expectEqual(counted, expected, metrics);
            expect(unordered(counted.exposures)).toEqual(exposures.ok && unordered(exposures.value));
          }
        },
      ),
      { numRuns: runs(10) },
    );
  });

  it("sends the exposures query alone without metrics", async () => {
    const sent: unknown[] = [];
    const recording: Warehouse = {
      ...connection,
      select: (...statement) => {
        sent.push(statement);
        return connection.select(...statement);
      },
    };
    const query = queryOf(randomUUID());
    await countMetrics(recording, query, []);
    await countExposures(recording, query);
    expect(sent).toHaveLength(2);
    expect(sent[0]).toEqual(sent[1]);
  });

  it("keeps the digits of a mean that is a billion times the standard deviation", async () => {
    const environmentKey = randomUUID();
    const identities = 30_000;
    await insertMany(environmentKey, identities, EXPOSURES);
    const value = "toString(1000000000 + number % 3 - 1)";
    await insertMany(environmentKey, identities, { ...EXPOSURES, event: "'purchase'", at: "1", value });
    await insertMany(environmentKey, identities, { ...EXPOSURES, event: "'purchase'", at: "-1", value });
    const counted = await count(connection, environmentKey, [metric({ lookbackDays: 1 })]);
    const { sum, squaredDeviations, covariate } = counted.metrics[0]?.moments.get("control") ?? {};
    expect(sum).toBe(1e9 * identities);
    const relative = (number = 0) => number / ((identities * 2) / 3);
    expect(Math.abs(relative(squaredDeviations) - 1)).toBeLessThan(1e-6);
    expect(Math.abs(relative(covariate?.productsOfDeviations) - 1)).toBeLessThan(1e-6);
  });

  it("counts a bot with a million events, each of them delivered twice", async () => {
    const environmentKey = randomUUID();
    await insertMany(environmentKey, 2, EXPOSURES);
    const events = { event: "'purchase'", at: "intDiv(number, 100)", identifier: "'1'", value: "toString(number)" };
    for (let copy = 0; copy < 2; copy += 1) await insertMany(environmentKey, 1_000_000, events);
    const metrics = [
      metric(),
      metric({ key: "count", aggregation: "count" }),
      metric({ key: "any", aggregation: "occurrence" }),
    ];
    const { metrics: counted } = await count(limited(1_000_000_000), environmentKey, metrics);
    const sums = counted.map(({ moments }) => moments.get("control")?.sum);
    expect(sums).toEqual([(1e6 * (1e6 - 1)) / 2, 1e6, 1]);
    const failed = await countMetrics(limited(20_000_000), queryOf(environmentKey), metrics);
    expect(failed).toMatchObject({ ok: false, failure: { kind: "overloaded" } });
  });

  it("needs little memory for events of other identities, and for long values", async () => {
    const environmentKey = randomUUID();
    await insertMany(environmentKey, 100, EXPOSURES);
    const others = { event: "'purchase'", at: "1", identifier: "toString(1000000 + number)", value: "'5'" };
    await insertMany(environmentKey, 600_000, others);
    const long = { ...others, identifier: "toString(number)", value: "concat(toString(number), repeat('x', 1000000))" };
    await insertMany(environmentKey, 100, long);
    const { metrics } = await count(limited(60_000_000), environmentKey, [metric()]);
    expect(metrics).toMatchObject([{ invalidValues: 100 }]);
    expect(metrics[0]?.moments.get("control")).toMatchObject({ identities: 100, sum: 0 });
  });

  it("spills to disk at the memory limit, with the same numbers", async () => {
    const environmentKey = randomUUID();
    await insertMany(environmentKey, 500_000, EXPOSURES);
    await insertMany(environmentKey, 1_000_000, {
      event: "'purchase'",
      at: "1 + number",
      identifier: "toString(number % 500000)",
      value: "'2.5'",
    });
    const spilled: boolean[] = [];
    const recording: Warehouse = {
      ...connection,
      select: (sql, parameters, settings = {}) => {
        spilled.push("max_bytes_before_external_group_by" in settings);
        // In memory it needs about 200 MB, and with spilling about 125 MB.
        return limited(160_000_000).select(sql, parameters, settings);
      },
    };
    const { metrics } = await count(recording, environmentKey, [metric()]);
    expect(spilled).toEqual([false, true]);
    const moments = { identities: 500_000, sum: 2_500_000, squaredDeviations: 0 };
    expect(metrics[0]?.moments.get("control")).toMatchObject(moments);
  });

  it("fails with too_large if a variant has more than 1,000 bytes", async () => {
    const environmentKey = randomUUID();
    await insertMany(environmentKey, 1, { ...EXPOSURES, value: "repeat('x', 1001)" });
    const counted = await countMetrics(connection, queryOf(environmentKey), [metric()]);
    expect(counted).toMatchObject({ ok: false, failure: { kind: "too_large" } });
  });

  it("distinguishes two variants whose names have the same hash", async () => {
    const environmentKey = randomUUID();
    // These two have the same cityHash64, which the second attempt does not use.
    const names = ["treatment-blue-1", "_Kgw]dqSGTkhEQro"];
    const event = { environment_key: environmentKey, feature_name: FEATURE, timestamp: from };
    await warehouse.insert(
      names.flatMap((value) => [
        { ...event, identifier: `only ${value}`, value },
        { ...event, identifier: "both", value },
        { ...event, event: "purchase", identifier: `only ${value}`, value: String(value.length) },
      ]),
      "all_events",
    );
    const { metrics } = await count(connection, environmentKey, [metric()]);
    const sums = [...(metrics[0]?.moments ?? [])].map(([variant, { identities, sum }]) => [variant, identities, sum]);
    expect(new Set(sums)).toEqual(new Set(names.map((name) => [name, 1, name.length])));
  });

  it("counts an occurrence at the first exposure, and none before it", async () => {
    const environmentKey = randomUUID();
    const event = { environment_key: environmentKey, feature_name: FEATURE };
    const events = ["ann", "bob", "eve"].flatMap((identifier, index) => [
      { ...event, identifier, value: "control", timestamp: from },
      { ...event, event: "visit", identifier, value: "", timestamp: from + index - 1 },
    ]);
    await warehouse.insert(events, "all_events");
    const { metrics } = await count(connection, environmentKey, [
      metric({ event: "visit", aggregation: "occurrence" }),
    ]);
    expect(metrics[0]?.moments.get("control")).toMatchObject({ identities: 3, sum: 2 });
  });

  it("uses UTC in any time zone of the server", async () => {
    const environmentKey = randomUUID();
    const event = { environment_key: environmentKey, feature_name: FEATURE, identifier: "ann" };
    await warehouse.insert(
      [
        { ...event, value: "control", timestamp: from },
        { ...event, event: "purchase", value: "1", timestamp: from - 1 },
        { ...event, event: "purchase", value: "2", timestamp: from },
        { ...event, event: "purchase", value: "4", timestamp: from + HOUR - 1 },
        { ...event, event: "purchase", value: "8", timestamp: from + HOUR },
        { ...event, event: "purchase", value: "16", timestamp: from + 6 * HOUR },
      ],
      "all_events",
    );
    const metrics = [metric({ lookbackDays: 1 }), metric({ key: "soon", conversionWindowHours: 1 })];
    for (const zone of ["UTC", "America/New_York", "Pacific/Chatham"]) {
      const inZone: Warehouse = {
        ...connection,
        select: (sql, parameters, settings) =>
          connection.select(sql, parameters, { ...settings, session_timezone: zone }),
      };
      const { metrics: counted } = await count(inZone, environmentKey, metrics);
      expect(counted[0]?.moments.get("control"), zone).toMatchObject({ sum: 14, covariate: { sum: 1 } });
      expect(counted[1]?.moments.get("control"), zone).toMatchObject({ sum: 6, covariate: null });
    }
  });

  it("returns NaN for sums that are too large for a double, and the other metrics as usual", async () => {
    const environmentKey = randomUUID();
    await insertMany(environmentKey, 2, EXPOSURES);
    await insertMany(environmentKey, 3, { event: "'purchase'", at: "number", identifier: "'1'", value: "'1e308'" });
    const { metrics } = await count(connection, environmentKey, [metric(), metric({ key: "n", aggregation: "count" })]);
    expect(metrics[0]?.moments.get("control")).toMatchObject({ sum: Number.NaN, squaredDeviations: Number.NaN });
    expect(metrics[1]?.moments.get("control")).toMatchObject({ identities: 2, sum: 3, squaredDeviations: 4.5 });
  });
});

describe("readMetrics", () => {
  const names = { kind: "variant", name: "a", variant_hash: "1", at: 0, identities: 0, late: 0, events: 1 };
  const exposed = { ...names, kind: "identities", name: "", at: from, identities: 4, events: 4 };
  const row = { kind: "moments", variant_hash: "1", identities: 2, moments: [[6, 1, 0, 3, 0.25, 0.5]] };
  const { window } = queryOf("any");

  it("adds a 0 for each identity without events", () => {
    const read = readMetrics([names, exposed, row], [metric({ lookbackDays: 1 })], window);
    // The values are 2, 4, 0 and 0, and those before the first exposure 1, 2, 0 and 0.
    const covariate = { sum: 3, squaredDeviations: 2.75, productsOfDeviations: 5.5 };
    const moments = new Map([["a", { identities: 4, sum: 6, squaredDeviations: 11, covariate }]]);
    expect(read).toMatchObject({ ok: true, value: { metrics: [{ invalidValues: 0, moments }] } });
  });

  it("returns zeros for a variant without events", () => {
    const moments = new Map([["a", { identities: 4, sum: 0, squaredDeviations: 0, covariate: null }]]);
    expect(readMetrics([names, exposed], [metric()], window)).toMatchObject({
      ok: true,
      value: { metrics: [{ invalidValues: 0, moments }] },
    });
  });

  it.each([
    ["an unknown variant", { ...row, variant_hash: "2" }],
    ["a missing metric", { ...row, moments: [] }],
    ["a missing number", { ...row, moments: [[1, 0.25, 0, 0, 0]] }],
    ["a text", { ...row, moments: [["1", 0.25, 0, 0, 0, 0]] }],
    ["a negative variance", { ...row, moments: [[1, -0.25, 0, 0, 0, 0]] }],
    ["half an invalid value", { ...row, moments: [[1, 0.25, 0.5, 0, 0, 0]] }],
    ["no identities", { ...row, identities: 0 }],
    ["more identities than exposed", { ...row, identities: 5 }],
  ])("rejects %s", (_, bad) => {
    expect(readMetrics([names, exposed, bad], [metric()], window)).toEqual({
      ok: false,
      failure: { kind: "bad_rows" },
    });
  });
});
