import type { WarehouseUser } from "../../src/dev/warehouse-server.ts";

/** The users of the test warehouse. */
export const users = {
  owner: { name: "owner", password: "owner's p\u00e4ssword: \u2603", readonly: 0 },
  /** Has the minimal permissions that the product needs. */
  reader: { name: "reader", password: "reader", readonly: 2 },
  /** May not change settings, unlike readonly=2. */
  readonly1: { name: "readonly1", password: "readonly1", readonly: 1 },
} as const satisfies Record<string, WarehouseUser>;
