import { beforeAll, describe, expect, it } from "vitest";
import { checkWarehouse } from "../../src/warehouse/check-warehouse.ts";
import { connectWarehouse } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import { createTable, createWarehouse, type TestWarehouse } from "../support/warehouse.ts";

const HOUR = 3_600_000;
const FROM = Date.UTC(2026, 5, 1);

let warehouse: TestWarehouse;
beforeAll(async () => {
  warehouse = await createWarehouse();
});

describe("the name of a database and a table", () => {
  it.each(["it's", 'say "so"', "tick`tick", "a; DROP TABLE events", "{x:Identifier}", "a.b", "ключ"])(
    "is an identifier, not SQL: %s",
    async (name) => {
      const connection = connectWarehouse(await createTable(warehouse, name, FROM));
      expect((await checkWarehouse(connection)).ok).toBe(true);
      const query = { environmentKey: "e", featureName: "f", window: { from: FROM, to: FROM + HOUR } };
      const counted = await countExposures(connection, query);
      expect(counted).toMatchObject({ ok: true, value: { counts: [{ variant: "a", identities: 1 }] } });
    },
  );

  it.each([
    "events` WHERE 1=0 --",
    "events; DROP TABLE events",
    "(SELECT * FROM events)",
    "events' OR '1'='1",
    "events\\",
  ])("is reported as a missing table, and drops nothing, as an invalid table name: %s", async (table) => {
    const checked = await checkWarehouse(connectWarehouse({ ...warehouse.settings, table }));
    expect(checked).toEqual({ ok: false, failure: expect.stringMatching(/EVENTS_TABLE/) });
    expect(JSON.stringify(checked)).not.toContain(table);
    expect((await checkWarehouse(connectWarehouse(warehouse.settings))).ok).toBe(true);
  });
});
