import type { WarehouseFailure } from "./failure.ts";

/** Says what is wrong with the warehouse and what the operator can do about it. */
export function adviceFor({ kind }: WarehouseFailure): string {
  switch (kind) {
    case "unreachable":
      return "ClickHouse or one of its shards can't be reached. Check CLICKHOUSE_URL, the servers and the network between them.";
    case "timeout":
      return "ClickHouse did not answer in time. Check its load, or raise QUERY_TIMEOUT_SECONDS.";
    case "overloaded":
      return "ClickHouse is overloaded or over a limit. Raise the user's quota or memory limit, or lower the load.";
    case "server_error":
      return "ClickHouse, or a proxy in front of it, answered with a server error. Check its log.";
    case "bad_answer":
      return "The answer was truncated or did not come from ClickHouse. Check that CLICKHOUSE_URL is its HTTP interface.";
    case "credentials":
      return "ClickHouse refused the user. Check CLICKHOUSE_USER and CLICKHOUSE_PASSWORD, and grant it SELECT on the table.";
    case "missing_table":
      return "The events table does not exist. Check CLICKHOUSE_DATABASE and EVENTS_TABLE, or run migrations/clickhouse.";
    case "missing_column":
      return "The events table lacks a column. Compare it with migrations/clickhouse.";
    case "settings_refused":
      return "ClickHouse refused the query's settings. Give the user readonly = 2, not 1, and no constraints on settings.";
    case "bad_query":
      return "ClickHouse can't run the query. Compare the table with migrations/clickhouse, and the version with the docs.";
    case "bad_rows":
      return "The rows are not valid counts. Check that EVENTS_TABLE is the events table.";
    case "too_large":
      return "The result is too large to store. Shorten the window, or check that value holds variants only, of up to 1,000 bytes.";
    case "limited":
      return "The query exceeds a limit of the user's profile. Raise its limits on rows and bytes, such as max_rows_to_read.";
    case "refused":
      return "The server refused the query. Check that CLICKHOUSE_URL is ClickHouse's HTTP interface.";
  }
}

/** The advice for a failure of the states, where it differs from that for the events. */
export function adviceForStates(failure: WarehouseFailure): string {
  switch (failure.kind) {
    case "missing_table":
      return "EXPOSURE_SOURCE is states, but their tables do not exist. Run migrations/clickhouse/0002 to 0012.";
    case "missing_column":
      return "EXPOSURE_SOURCE is states, but their tables lack a column. Run migrations/clickhouse/0009 to 0012.";
    case "credentials":
    case "settings_refused":
      return "States need SELECT, INSERT and ALTER DELETE on the exposure_ tables, and no readonly. See docs/states.md.";
    default:
      return adviceFor(failure);
  }
}
