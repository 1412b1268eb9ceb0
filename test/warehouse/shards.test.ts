import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { serialise } from "../../src/exposures/serialise.ts";
import { summarise } from "../../src/exposures/summary.ts";
import { checkWarehouse } from "../../src/warehouse/check-warehouse.ts";
import { connectWarehouse, type Warehouse } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import {
  EVENTS,
  type ExposureQuery,
  exposureParameters,
  exposureSql,
  VARIANT_HASHES,
  type VariantHash,
} from "../../src/warehouse/exposure-query.ts";
import { readCounts } from "../../src/warehouse/exposure-rows.ts";
import { HOUR, scenario } from "../support/arbitrary.ts";
import { collectionByBruteForce, countByBruteForce, withMaps } from "../support/brute-force.ts";
import { runs } from "../support/runs.ts";
import { createShards, partition } from "../support/shards.ts";
import { unchecked } from "../support/unchecked.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";

const FEATURE = 'it\'s \\a "feature"\n';
const from = Date.UTC(2026, 5, 1);

let warehouse: TestWarehouse;
/** Two shards with the same rows. */
let copies: Warehouse;
/** Two shards with different rows. */
let halves: Warehouse;
beforeAll(async () => {
  warehouse = await createWarehouse();
  ({ copies, halves } = await createShards(warehouse));
});

/** Counts with one hash function. `countExposures` takes the second one only after a collision. */
async function countWith(variantHash: VariantHash, connection: Warehouse, query: ExposureQuery, configured: string[]) {
  const rows = await connection.select(exposureSql(EVENTS, variantHash), exposureParameters(connection.table, query));
  const counted = rows.ok ? readCounts(rows.value, query.window) : rows;
  if (counted === "collision" || !counted.ok) throw new Error(JSON.stringify(counted));
  const { counts, collection } = counted.value;
  return {
    exposures: withMaps(JSON.parse(serialise(summarise(counts, query.window, configured), unchecked))),
    collection,
  };
}

async function planOf(connection: Warehouse): Promise<string> {
  const query = { environmentKey: "env", featureName: FEATURE, window: { from, to: from + HOUR } };
  const sql = `EXPLAIN ${exposureSql(EVENTS, "cityHash64")}`;
  return JSON.stringify(await connection.select(sql, exposureParameters(connection.table, query)));
}

describe("countExposures, over a Distributed table", () => {
  it("merges partial states of the shards", async () => {
    expect(await planOf(connectWarehouse(warehouse.settings))).not.toContain("MergingAggregated");
    expect(await planOf(copies)).toContain("MergingAggregated");
    expect(await planOf(halves)).toContain("MergingAggregated");
  });

  it("equals a brute-force count, whichever shard has which events of an identity, with both hashes", async () => {
    await fc.assert(
      fc.asyncProperty(
        scenario,
        fc.infiniteStream(fc.boolean()),
        async ({ from, to, configured, eventsOf }, isFirst) => {
          const environmentKey = randomUUID();
          const events = eventsOf(environmentKey, FEATURE);
          const [first, second] = partition(events, () => isFirst.next().value);
          await Promise.all([
            warehouse.insert(events, "all_events"),
            warehouse.insert(first, "first_events"),
            warehouse.insert(second, "second_events"),
          ]);

          const query = { environment_key: environmentKey, feature_name: FEATURE, variants: configured, from, to };
          const exposures = countByBruteForce(events, query);
          const collection = collectionByBruteForce(events, query);
          const { invalidEvents, events: all } = collection;
          const ofCopies = { ...collection, invalidEvents: 2 * invalidEvents, events: 2 * all };
          const counted = { environmentKey, featureName: FEATURE, window: { from, to } };
          const [ofBoth, ofHalves] = await Promise.all(
            [copies, halves].map((connection) =>
              Promise.all(VARIANT_HASHES.map((hash) => countWith(hash, connection, counted, configured))),
            ),
          );
          for (const result of ofBoth ?? []) expect(result).toEqual({ exposures, collection: ofCopies });
          for (const result of ofHalves ?? []) expect(result).toEqual({ exposures, collection });
          expect([ofBoth?.length, ofHalves?.length]).toEqual([2, 2]);
        },
      ),
      { numRuns: runs(5) },
    );
  });

  it("distinguishes two variants with the same hash on different shards", async () => {
    const environmentKey = randomUUID();
    const event = { environment_key: environmentKey, feature_name: FEATURE, timestamp: from };
    await warehouse.insert([{ ...event, identifier: "ann", value: "treatment-blue-1" }], "first_events");
    await warehouse.insert([{ ...event, identifier: "ann", value: "_Kgw]dqSGTkhEQro" }], "second_events");
    const query = { environmentKey, featureName: FEATURE, window: { from, to: from + HOUR } };
    const counts = [{ multiple: true, identities: 1 }];
    expect(await countExposures(halves, query)).toMatchObject({ ok: true, value: { counts } });
  });

  it("fails with too_large for a long variant on a shard", async () => {
    const environmentKey = randomUUID();
    const event = { environment_key: environmentKey, feature_name: FEATURE, timestamp: from };
    await warehouse.insert([{ ...event, identifier: "ann", value: "x".repeat(1001) }], "second_events");
    const query = { environmentKey, featureName: FEATURE, window: { from, to: from + HOUR } };
    expect(await countExposures(halves, query)).toMatchObject({ ok: false, failure: { kind: "too_large" } });
  });

  it("passes the warehouse check", async () => {
    expect(await checkWarehouse(copies)).toMatchObject({ ok: true });
  });
});
