import { beforeAll, describe, expect, it } from "vitest";
import { connectWarehouse, type Warehouse } from "../../src/warehouse/client.ts";
import { discoverEvents } from "../../src/warehouse/discover-events.ts";
import {
  discoverFeatures,
  MAX_FEATURES,
  MAX_GROUPS,
  MAX_LISTED_VARIANTS,
} from "../../src/warehouse/discover-features.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 5, 30, 12);

let test: TestWarehouse;
let warehouse: Warehouse;
/** The SQL of each query. */
const queries: string[] = [];
beforeAll(async () => {
  test = await createWarehouse();
  const connection = connectWarehouse(test.settings);
  warehouse = {
    ...connection,
    select(sql, parameters, settings) {
      queries.push(sql);
      // The limit on groups is one of each thread.
      return connection.select(sql, parameters, { ...settings, max_threads: "1" });
    },
  };
});

const exposure = (fields: Partial<Event>): Event => ({
  environment_key: "env",
  feature_name: "button",
  identifier: "ann",
  value: "control",
  timestamp: NOW - DAY,
  ...fields,
});

/** Empties the table, and inserts events. */
async function insert(...events: Event[]) {
  await test.command("TRUNCATE TABLE events");
  await test.insert(events);
}

async function features(environmentKey: string | null = null) {
  queries.length = 0;
  const found = await discoverFeatures(warehouse, environmentKey, NOW);
  if (!found.ok) throw new Error(JSON.stringify(found.failure));
  return found.value;
}

async function events() {
  const found = await discoverEvents(warehouse, "env", NOW);
  if (!found.ok) throw new Error(JSON.stringify(found.failure));
  return found.value;
}

describe("discoverFeatures", () => {
  it("counts identities by variant, the latest feature first", async () => {
    await insert(
      exposure({ identifier: "ann", timestamp: NOW - 3 * DAY }),
      exposure({ identifier: "ann", timestamp: NOW - 2 * DAY }),
      exposure({ identifier: "bob", value: "treatment" }),
      exposure({ identifier: "cid", value: "treatment" }),
      exposure({ environment_key: "other", feature_name: "banner", timestamp: NOW - 1 }),
    );
    const button = {
      environmentKey: "env",
      featureName: "button",
      variants: [
        { key: "treatment", identities: 2 },
        { key: "control", identities: 1 },
      ],
      firstExposureAt: NOW - 3 * DAY,
      lastExposureAt: NOW - DAY,
    };
    const { features: all, isTruncated } = await features();
    expect(all.map(({ featureName }) => featureName)).toEqual(["banner", "button"]);
    expect(all[1]).toEqual(button);
    expect(isTruncated).toBe(false);
    expect(await features("env")).toEqual({ features: [button], isTruncated: false });
    expect(await features("nothing")).toEqual({ features: [], isTruncated: false });
    expect(queries).toHaveLength(1);
  });

  it("ignores events that are no exposures, are not valid, or are outside the last 30 days", async () => {
    await insert(
      exposure({ event: "purchase", feature_name: "a" }),
      exposure({ identifier: "", feature_name: "b" }),
      exposure({ value: "", feature_name: "c" }),
      exposure({ value: "x".repeat(1001), feature_name: "d" }),
      exposure({ feature_name: "" }),
      exposure({ timestamp: NOW - 30 * DAY - 1, feature_name: "e" }),
      exposure({ timestamp: NOW, feature_name: "f" }),
      exposure({ timestamp: NOW - 30 * DAY, feature_name: "g" }),
    );
    expect((await features()).features.map(({ featureName }) => featureName)).toEqual(["g"]);
  });

  it("counts many identities with an error of a few percent", async () => {
    await insert();
    await test.command(`INSERT INTO events (environment_key, event, feature_name, timestamp, identifier, value)
      SELECT 'env', '$flag_exposure', 'button', fromUnixTimestamp64Milli(${NOW - DAY}), toString(number % 100000), 'a'
      FROM numbers(200000)`);
    const [button] = (await features()).features;
    expect(button?.variants[0]?.identities).toBeGreaterThan(95_000);
    expect(button?.variants[0]?.identities).toBeLessThan(105_000);
  });

  it("returns hostile names as they are", async () => {
    const names = [`';-- "\\ {x:String}`, "<b>&", "\u0000\u0001", "🧪", "__proto__"];
    await insert(...names.map((name) => exposure({ environment_key: name, feature_name: name, value: name })));
    const found = (await features()).features.map((feature) => [feature.featureName, feature.variants[0]?.key]);
    expect(found.sort()).toEqual(names.map((name) => [name, name]).sort());
    for (const name of names) expect((await features(name)).features).toHaveLength(1);
  });

  it("returns at most 500 features", async () => {
    await insert(
      ...Array.from({ length: MAX_FEATURES + 1 }, (_, index) =>
        exposure({ feature_name: `feature-${index}`, timestamp: NOW - DAY + index }),
      ),
    );
    const found = await features();
    expect(found.features).toHaveLength(MAX_FEATURES);
    expect(found.features.at(-1)?.featureName).toBe("feature-1");
    expect(found.isTruncated).toBe(true);
  });

  it("returns the most frequent variants of a feature with a different value in every event", async () => {
    await insert(
      exposure({ identifier: "ann", value: "control" }),
      exposure({ feature_name: "noisy", identifier: "ann", value: "real" }),
      exposure({ feature_name: "noisy", identifier: "bob", value: "real" }),
    );
    const noise = (count: number) => `INSERT INTO events
      (environment_key, event, feature_name, timestamp, identifier, value)
      SELECT 'env', '$flag_exposure', 'noisy', fromUnixTimestamp64Milli(${NOW - 2 * DAY}), toString(number),
        leftPad(toString(number), 400, '\\0') FROM numbers(${count})`;
    await test.command(noise(1_000));
    const few = await features();
    expect(queries).toHaveLength(1);
    await test.command(noise(MAX_GROUPS));
    const many = await features();
    expect(queries).toHaveLength(2);
    for (const { features: found } of [few, many]) {
      expect(found.map(({ featureName }) => featureName).sort()).toEqual(["button", "noisy"]);
      const noisy = found.find(({ featureName }) => featureName === "noisy");
      expect(found.find(({ featureName }) => featureName === "button")?.variants).toEqual([
        { key: "control", identities: 1 },
      ]);
      expect(noisy?.variants.length).toBeLessThanOrEqual(MAX_LISTED_VARIANTS);
      expect(JSON.stringify(noisy?.variants).length).toBeLessThan(6 * 5_000 + 1_000);
    }
    expect(few.features.find(({ featureName }) => featureName === "noisy")?.variants[0]?.key).toBe("real");
  });

  it("fails with the reason", async () => {
    const missing = connectWarehouse({ ...test.settings, table: "missing" });
    expect(await discoverFeatures(missing, null, NOW)).toMatchObject({ ok: false, failure: { kind: "missing_table" } });
    expect(await discoverEvents(missing, "env", NOW)).toMatchObject({ ok: false, failure: { kind: "missing_table" } });
  });
});

describe("discoverEvents", () => {
  it("counts the other events of the environment, and says whether their values are numbers", async () => {
    const of = (event: string, value: string, timestamp = NOW - DAY) => exposure({ event, value, timestamp });
    await insert(
      ...[of("purchase", "9.5"), of("purchase", " 1e3 "), of("purchase", ""), of("purchase", "free", NOW - 9 * DAY)],
      ...[of("search", "shoes"), of("search", "7"), of("click", ""), of("error", "Infinity")],
      ...[of("old", "1", NOW - 31 * DAY), of("$flag_exposure", "control"), of(`'"\\ 🧪`, "x", NOW - 2 * DAY)],
      exposure({ environment_key: "other", event: "other" }),
    );
    expect(await events()).toEqual({
      events: [
        { event: "purchase", count: 4, values: "numbers", lastEventAt: NOW - DAY },
        { event: "search", count: 2, values: "mixed", lastEventAt: NOW - DAY },
        { event: `'"\\ 🧪`, count: 1, values: "texts", lastEventAt: NOW - 2 * DAY },
        { event: "click", count: 1, values: "empty", lastEventAt: NOW - DAY },
        { event: "error", count: 1, values: "texts", lastEventAt: NOW - DAY },
      ],
      isTruncated: false,
    });
  });

  it("returns at most 500 of many events", async () => {
    await insert();
    await test.command(`INSERT INTO events (environment_key, event, feature_name, timestamp, identifier, value)
      SELECT 'env', concat('event-', toString(number)), '', fromUnixTimestamp64Milli(${NOW - DAY}), 'ann', '1'
      FROM numbers(${MAX_GROUPS + 1})`);
    const { events: found, isTruncated } = await events();
    expect([found.length, isTruncated]).toEqual([500, true]);
  });
});
