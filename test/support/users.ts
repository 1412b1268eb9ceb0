import type { WarehouseUser } from "../../src/dev/warehouse-server.ts";

/** The users of the test warehouse. */
export const users = {
  owner: { name: "owner", password: "owner's p\u00e4ssword: \u2603", readonly: 0 },
  /** Has the minimal permissions that the product needs. */
  reader: { name: "reader", password: "reader", readonly: 2 },
  /** May not change settings, unlike readonly=2. */
  readonly1: { name: "readonly1", password: "readonly1", readonly: 1 },
} as const satisfies Record<string, WarehouseUser>;

/** Settings of profiles with which the server cuts answers short, reads other rows, or groups them differently. */
export const profiles = {
  "stops after a time": { timeout_overflow_mode: "break" },
  "limits the rows of a result": { max_result_rows: "1", max_block_size: "1", result_overflow_mode: "break" },
  "limits the rows to read": { max_rows_to_read: "1", read_overflow_mode: "break" },
  "limits the rows to read on a shard": {
    max_rows_to_read_leaf: "1",
    read_overflow_mode_leaf: "break",
  },
  "limits the groups": { max_rows_to_group_by: "1", group_by_overflow_mode: "any" },
  "limits the result": { limit: "1" },
  "skips rows of the result": { offset: "1" },
  "filters the result": { additional_result_filter: "identities > 1" },
  "filters the table": { additional_table_filters: "{'events': 'identifier != \\'ann\\''}" },
  "includes deleted rows": { apply_deleted_mask: "0" },
  "returns NULL for absent keys": { group_by_use_nulls: "1" },
  "does not merge groups of shards": { distributed_group_by_no_merge: "1" },
  "skips unavailable shards": { skip_unavailable_shards: "1" },
} as const satisfies Record<string, WarehouseUser["profile"]>;

export const profileUsers: WarehouseUser[] = Object.entries(profiles).map(([name, profile]) => ({
  name,
  password: "",
  readonly: 2,
  profile,
}));
