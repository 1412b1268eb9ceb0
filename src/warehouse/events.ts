import { HOUR } from "../exposures/buckets.ts";

// The events table, in the words of SQL.

/** An exposure that is collected any later than this makes buckets grow that seemed complete. */
const LATE_AFTER_MS = HOUR;

export const EVENTS_TABLE = "{database:Identifier}.{table:Identifier}";

/** An experiment's exposures from its start on. */
export const IS_EXPOSURE = `environment_key = {environment_key:String}
    AND event = '$flag_exposure'
    AND feature_name = {feature_name:String}
    AND timestamp >= fromUnixTimestamp64Milli({from:Int64})`;

/** Those of a window. */
export const IN_WINDOW = `${IS_EXPOSURE}
    AND timestamp < fromUnixTimestamp64Milli({to:Int64})`;

export const IS_VALID = "identifier != '' AND value != ''";

/**
 * Epoch milliseconds of an exposure, doubled, and one more if it was collected late. The minimum of these numbers holds
 * the first exposure, and whether even its earliest copy was late, in no more room than the time alone.
 */
export const FIRST_AND_LATE = `toUnixTimestamp64Milli(timestamp) * 2
      + ifNull(toUnixTimestamp64Milli(collected_at) - toUnixTimestamp64Milli(timestamp) > ${LATE_AFTER_MS}, 0)`;

/** One row of the answer: what it does not speak of is empty. */
const row = (kind: string, { at = "0", events = "0" }) =>
  `SELECT '${kind}' AS kind, '' AS name, '0' AS variant_hash, ${at} AS at, 0 AS identities, 0 AS late, ${events} AS events
FROM ${EVENTS_TABLE}
WHERE ${IN_WINDOW}`;

/** When the latest exposure was: ClickHouse reads no more than the end of the sort key. */
export const SELECT_LATEST = `${row("latest", { at: "toUnixTimestamp64Milli(timestamp)" })} AND ${IS_VALID}
ORDER BY timestamp DESC
LIMIT 1`;

/**
 * How many exposures there are, which the sort key alone can tell, and how many of them count for nothing. `IN` and two
 * questions, because so the first is answered by the index on identifier, and the second by the lengths of the values.
 * @param condition for asking at all
 */
export const selectEvents = (condition = "1") => [
  `${row("events", { events: "count()" })} AND ${condition}`,
  `${row("invalid", { events: "count()" })} AND ${condition} AND identifier IN ('')`,
  `${row("invalid", { events: "count()" })} AND ${condition} AND value = '' AND identifier != ''`,
];
