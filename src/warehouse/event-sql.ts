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

/** When the latest exposure was: ClickHouse reads no more than the end of the sort key. */
export const SELECT_LATEST = `
SELECT 'latest' AS kind, '' AS name, '0' AS variant_hash, toUnixTimestamp64Milli(timestamp) AS at,
  0 AS identities, 0 AS late, 0 AS events
FROM ${EVENTS_TABLE}
WHERE ${IN_WINDOW} AND ${IS_VALID}
ORDER BY timestamp DESC
LIMIT 1`;
