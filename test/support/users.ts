import type { WarehouseUser } from "../../src/dev/warehouse-server.ts";

/** Who may sign in to the warehouse of the tests. */
export const users = {
  owner: { name: "owner", password: "owner's p\u00e4ssword: \u2603", readonly: 0 },
  /** With the least rights that the product needs. */
  reader: { name: "reader", password: "reader", readonly: 2 },
  /** May not even set a setting. */
  readonly1: { name: "readonly1", password: "readonly1", readonly: 1 },
} as const satisfies Record<string, WarehouseUser>;
