import { HOUR } from "../exposures/buckets.ts";

// SQL fragments about the events table.

/** An exposure that is collected later than this counts as late: it changes buckets that looked complete. */
const LATE_AFTER_MS = HOUR;

export const EVENTS_TABLE = "{database:Identifier}.{table:Identifier}";

/** A condition: the event is an exposure of the experiment, at or after its start. */
const IS_EXPOSURE = `environment_key = {environment_key:String}
    AND event = '$flag_exposure'
    AND feature_name = {feature_name:String}
    AND timestamp >= fromUnixTimestamp64Milli({from:Int64})`;

/** A condition: the event is an exposure in the window. */
export const IN_WINDOW = `${IS_EXPOSURE}
    AND timestamp < fromUnixTimestamp64Milli({to:Int64})`;

/** The maximum length of a variant's key in bytes. */
export const MAX_VARIANT_BYTES = 1000;

/** An event's variant; '' for an invalid event, whose value does not count and may have any length. */
export const VARIANT = "if(identifier = '', '', value)";

/**
 * Counts events, and fails at one whose variant is too long to be a key: an SDK may send something else as `value`.
 * Otherwise ClickHouse would keep each distinct value in memory. The check is not in WHERE, where ClickHouse may evaluate
 * it for events of other experiments.
 */
export const COUNT_EVENTS = `countIf(throwIf(length(${VARIANT}) > ${MAX_VARIANT_BYTES}) = 0)`;

/** The variant as states store it. A longer one is cut to a length that still fails the count. */
export const STORED_VARIANT = `substring(value, 1, ${MAX_VARIANT_BYTES + 1})`;

export const IS_VALID = "identifier != '' AND value != ''";

/**
 * The time of an exposure in epoch milliseconds, doubled, plus one if it was collected late. The minimum of these numbers
 * holds both the first exposure and whether its earliest copy was late, in the space of the time alone.
 */
export const FIRST_AND_LATE = `toUnixTimestamp64Milli(timestamp) * 2
      + ifNull(toUnixTimestamp64Milli(collected_at) - toUnixTimestamp64Milli(timestamp) > ${LATE_AFTER_MS}, 0)`;

/** Selects the time of the latest exposure. ClickHouse reads only the end of the sort key. */
export const SELECT_LATEST = `
SELECT 'latest' AS kind, '' AS name, '0' AS variant_hash, toUnixTimestamp64Milli(timestamp) AS at,
  0 AS identities, 0 AS late, 0 AS events
FROM ${EVENTS_TABLE}
WHERE ${IN_WINDOW} AND ${IS_VALID}
ORDER BY timestamp DESC
LIMIT 1`;
