import type { Warehouse } from "../../src/warehouse/client.ts";

/** For what never asks it. */
export const idleWarehouse: Warehouse = {
  table: { database: "", table: "" },
  select: async () => ({ ok: true, value: [] }),
  command: async () => ({ ok: true, value: null }),
};
