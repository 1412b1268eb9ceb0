import { beforeAll, describe, expect, it } from "vitest";
import { connectForWriting } from "../../src/dev/local-warehouse.ts";
import { connectWarehouse } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import { EVENTS, exposureParameters, exposureSql } from "../../src/warehouse/exposure-query.ts";
import type { FailureKind } from "../../src/warehouse/failure.ts";
import { type profiles, users } from "../support/users.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";

const from = Date.UTC(2026, 5, 1);
const query = { environmentKey: "env", featureName: "button", window: { from, to: from + 3_600_000 } };
const event = { environment_key: "env", feature_name: "button", timestamp: from };

let warehouse: TestWarehouse;
beforeAll(async () => {
  warehouse = await createWarehouse();
  await warehouse.insert([
    ...["ann", "bob", "cem"].map((identifier) => ({ ...event, identifier, value: "control" })),
    ...["dan", "deleted", ""].map((identifier) => ({ ...event, identifier, value: "treatment" })),
  ]);
  await warehouse.insert([{ ...event, identifier: "bob", value: "treatment", timestamp: from + 1 }]);
  await warehouse.command("DELETE FROM events WHERE identifier = 'deleted'");
  const table = `${warehouse.settings.database}.events`;
  await warehouse.command(`CREATE TABLE shards AS remote('127.0.0.1,localhost', ${table})`);
  await warehouse.command(`CREATE TABLE shards_with_one_down AS remote('127.0.0.1,127.0.0.1:1', ${table})`);
  await warehouse.command("CREATE VIEW slow AS SELECT * FROM events WHERE sleepEachRow(0.4) = 0");
});

type Profile = keyof typeof profiles;

const counts = expect.arrayContaining([
  { multiple: false, variant: "control", bucket: from, identities: 2 },
  { multiple: false, variant: "treatment", bucket: from, identities: 1 },
  { multiple: true, identities: 1 },
]);

function settingsOf(user: { name: string; password: string }, table: string, queryTimeoutMs = 20_000) {
  return { ...warehouse.settings, user: user.name, password: user.password, table, queryTimeoutMs };
}

/** The rows for a client that leaves all settings to the profile, in no order. */
async function rowsOf(user: { name: string; password: string }, table: string): Promise<Set<string>> {
  const client = connectForWriting(settingsOf(user, table));
  const answer = await client.query({
    query: exposureSql(EVENTS, "cityHash64"),
    query_params: { ...exposureParameters({ ...warehouse.settings, table }, query) },
    format: "JSONEachRow",
  });
  return new Set((await answer.json()).map((row) => JSON.stringify(row)));
}

describe("countExposures", () => {
  it.each<[Profile, { table?: string }]>([
    ["limits the rows of a result", {}],
    ["limits the result", {}],
    ["skips rows of the result", {}],
    ["filters the result", {}],
    ["filters the table", {}],
    ["includes deleted rows", {}],
    ["returns NULL for absent keys", {}],
    ["does not merge groups of shards", { table: "shards" }],
  ])("returns whole counts if the profile %s", async (name, { table = "events" }) => {
    const user = { name, password: "" };
    expect(await rowsOf(user, table)).not.toEqual(await rowsOf(users.owner, table));
    const counted = await countExposures(connectWarehouse(settingsOf(user, table)), query);
    expect(counted).toMatchObject({ ok: true, value: { counts, collection: { latestExposureAt: from + 1 } } });
    expect(counted.ok && counted.value.counts.length).toBe(3);
  });

  it.each<[Profile, { table?: string; timeoutMs?: number }, FailureKind]>([
    ["limits the rows to read", {}, "limited"],
    ["limits the rows to read on a shard", {}, "limited"],
    ["limits the groups", {}, "limited"],
    ["stops after a time", { table: "slow", timeoutMs: 1900 }, "timeout"],
    ["skips unavailable shards", { table: "shards_with_one_down" }, "unreachable"],
  ])(
    "fails instead of cutting the answer short if the profile %s",
    async (name, { table = "events", timeoutMs }, kind) => {
      const user = { name, password: "" };
      const counted = await countExposures(connectWarehouse(settingsOf(user, table, timeoutMs)), query);
      expect(counted).toMatchObject({ ok: false, failure: { kind } });
    },
  );
});
