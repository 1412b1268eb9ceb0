import type { Warehouse } from "../../src/warehouse/client.ts";

/** A warehouse without rows, for tests that run no query. */
export const idleWarehouse: Warehouse = {
  table: { database: "", table: "" },
  select: async () => ({ ok: true, value: [] }),
  command: async () => ({ ok: true, value: null }),
  withSharedDeadline: () => idleWarehouse,
};
