import { beforeAll, describe, expect, it } from "vitest";
import { checkWarehouse } from "../../src/warehouse/check-warehouse.ts";
import { connectWarehouse } from "../../src/warehouse/client.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";

let warehouse: TestWarehouse;
beforeAll(async () => {
  warehouse = await createWarehouse();
});

/** Checks a copy of the events table, after a change to its columns. */
async function checkAfter(table: string, change: string) {
  await warehouse.command(`CREATE TABLE ${table} AS events`);
  await warehouse.command(`ALTER TABLE ${table} ${change} SETTINGS allow_suspicious_low_cardinality_types = 1`);
  return checkWarehouse(connectWarehouse({ ...warehouse.settings, table }));
}

describe("checkWarehouse", () => {
  it("accepts the events table, also with other compression and time zone", async () => {
    expect(await checkWarehouse(connectWarehouse(warehouse.settings))).toEqual({ ok: true, value: { columns: 11 } });
    const change = "MODIFY COLUMN value LowCardinality(String), MODIFY COLUMN collected_at DateTime64(6, 'UTC')";
    expect(await checkAfter("other_types", change)).toMatchObject({ ok: true });
  });

  it.each([
    ["dropped", "DROP COLUMN sdk_version", /lacks the column sdk_version \(String\).*migrations/],
    [
      "retyped",
      "MODIFY COLUMN collected_at DateTime",
      /has collected_at as DateTime instead of DateTime64.*migrations/,
    ],
    ["nullable", "MODIFY COLUMN value Nullable(String)", /Nullable columns.*: value\. Change their types/],
    [
      "nullable_in_low_cardinality",
      "MODIFY COLUMN value LowCardinality(Nullable(String)), MODIFY COLUMN collected_at Nullable(DateTime64(3))",
      /Nullable columns.*: collected_at, value\. Change their types/,
    ],
  ])("names a column and the action if it is %s", async (table, change, message) => {
    expect(await checkAfter(table, change)).toEqual({ ok: false, failure: expect.stringMatching(message) });
  });

  it("accepts a view that replaces NULL", async () => {
    await checkAfter("with_null", "MODIFY COLUMN value Nullable(String)");
    await warehouse.command("CREATE VIEW without_null AS SELECT * REPLACE (ifNull(value, '') AS value) FROM with_null");
    const viewed = connectWarehouse({ ...warehouse.settings, table: "without_null" });
    expect(await checkWarehouse(viewed)).toMatchObject({ ok: true });
  });
});
