import { type ClickHouseSettings, SettingsMap } from "@clickhouse/client-web";

/**
 * Settings that decide whether a count is whole. A user's profile may set any of them, and the server would then answer
 * 200 with wrong counts. ClickHouse rejects unknown settings, so all of these exist in 24.3, the oldest version supported.
 */
export const WHOLE_ANSWERS = {
  // A limit fails the query. It does not cut the answer short.
  timeout_overflow_mode: "throw",
  timeout_overflow_mode_leaf: "throw",
  read_overflow_mode: "throw",
  read_overflow_mode_leaf: "throw",
  group_by_overflow_mode: "throw",
  sort_overflow_mode: "throw",
  distinct_overflow_mode: "throw",
  set_overflow_mode: "throw",
  join_overflow_mode: "throw",
  transfer_overflow_mode: "throw",
  result_overflow_mode: "throw",
  limit: "0",
  offset: "0",
  // Every shard answers, with all of its rows. A replica that lags too far behind does not answer.
  skip_unavailable_shards: 0,
  fallback_to_stale_replicas_for_distributed_queries: 0,
  optimize_skip_unused_shards: 0,
  distributed_group_by_no_merge: "0",
  // Replicas that are not in step, or a sampling key that is not even, would give wrong shares of the rows.
  max_parallel_replicas: "1",
  // The answer is fresh, and of all rows except deleted ones.
  use_query_cache: 0,
  apply_deleted_mask: 1,
  additional_table_filters: SettingsMap.from({}),
  additional_result_filter: "",
  // Absent grouping keys are not NULL.
  group_by_use_nulls: 0,
} as const satisfies ClickHouseSettings;
