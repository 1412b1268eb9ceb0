import { COUNT_EVENTS, EVENTS_TABLE, FIRST_AND_LATE, IN_WINDOW, IS_VALID, SELECT_LATEST } from "./event-sql.ts";
import type { VariantHash } from "./exposure-query.ts";
import type { MetricPlan } from "./metric-plan.ts";
import { aggregateValues, collectEvents, computeValues, dropDuplicates, isAnyOf, mergeStates } from "./metric-sql.ts";

const IS_EXPOSURE = "event = '$flag_exposure'";
const NO_MOMENTS = "CAST([], 'Array(Array(Float64))') AS moments";

/** Identities of the experiment, in half the memory of the whole hash. False positives are dropped after the GROUP BY. */
const IS_EXPOSED = `toUInt32(cityHash64(identifier)) GLOBAL IN (
            SELECT DISTINCT toUInt32(cityHash64(identifier)) FROM ${EVENTS_TABLE} WHERE ${IN_WINDOW} AND ${IS_VALID})`;

/** Fails at a variant that is too long. */
const selectNames = (variantHash: VariantHash) => `
SELECT 'variant' AS kind, value AS name, toString(${variantHash}(value)) AS variant_hash, 0 AS at,
  0 AS identities, 0 AS late, ${COUNT_EVENTS} AS events, ${NO_MOMENTS}
FROM ${EVENTS_TABLE}
WHERE ${IN_WINDOW} AND value != ''
GROUP BY value`;

const SELECT_INVALID = `
SELECT 'invalid' AS kind, '' AS name, '0' AS variant_hash, 0 AS at,
  0 AS identities, 0 AS late, count() AS events, ${NO_MOMENTS}
FROM ${EVENTS_TABLE}
WHERE ${IN_WINDOW} AND (empty(identifier) OR empty(value))`;

/**
 * The SQL that counts exposures and metrics. It returns the rows of the exposures query, and one row per variant with the
 * moments of each metric over all of the variant's identities.
 *
 * One GROUP BY takes the exposures and the metric events of an identity together, with the same hashes as the exposures
 * query. Neither is joined, nor are exposures grouped twice. Events of other identities are filtered out before the GROUP
 * BY, so that they take no memory.
 *
 * An event counts only from the first exposure on, which is known after the GROUP BY. Until then an identity's events are
 * kept as lists, 8 to 24 bytes an event, where duplicates are found as well. So the memory grows with the events of the
 * experiment's identities. At the server's limit the query fails, and is repeated with the groups on disk.
 *
 * Deviations come from stable algorithms, and are merged over buckets without loss of digits.
 */
export function metricSql(plan: MetricPlan, variantHash: VariantHash): string {
  const more = (columns: readonly string[]) => columns.map((column) => `,\n    ${column}`).join("");
  const counts = `
SELECT
  multiIf(bucket = 0, 'moments', is_multiple, 'multiple', 'identities') AS kind,
  '' AS name,
  toString(hash) AS variant_hash,
  (bucket - 1) * {bucket_size:Int64} AS at,
  sum(identity_count) AS identities,
  sum(late_count) AS late,
  sum(event_count) AS events,
  if(bucket = 0, ${mergeStates(plan)}, []) AS moments
FROM (
  SELECT
    is_multiple,
    if(is_multiple, 0, variant_and) AS hash,
    -- 0 in a grouping set without buckets.
    if(is_multiple, 0, intDiv(first_exposure, {bucket_size:Int64})) + 1 AS bucket,
    count() AS identity_count,
    sum(is_late) AS late_count,
    sum(exposures) AS event_count${more(aggregateValues(plan))}
  FROM (
    SELECT is_multiple, variant_and, first_exposure, is_late, exposures${more(computeValues(plan))}
    FROM (
      SELECT
        variant_and != variant_or AS is_multiple,
        variant_and,
        intDiv(earliest, 2) AS first_exposure,
        bitAnd(earliest, 1) AS is_late,
        exposures${more(dropDuplicates(plan))}
      FROM (
        SELECT
          cityHash64(identifier) AS identity_1,
          xxh3(identifier) AS identity_2,
          groupBitAndIf(${variantHash}(value), ${IS_EXPOSURE}) AS variant_and,
          groupBitOrIf(${variantHash}(value), ${IS_EXPOSURE}) AS variant_or,
          minIf(${FIRST_AND_LATE}, ${IS_EXPOSURE}) AS earliest,
          countIf(${IS_EXPOSURE}) AS exposures${more(collectEvents(plan))}
        FROM ${EVENTS_TABLE}
        WHERE environment_key = {environment_key:String}
          AND timestamp >= fromUnixTimestamp64Milli({metrics_from:Int64})
          AND timestamp < fromUnixTimestamp64Milli({to:Int64})
          AND ((${IN_WINDOW}) OR ${isAnyOf(plan.events.keys())})
          AND if(${IS_EXPOSURE}, ${IS_VALID}, ${IS_EXPOSED})
        GROUP BY identity_1, identity_2
        HAVING exposures > 0
      )
    )
  )
  GROUP BY is_multiple, hash, bucket
)
GROUP BY GROUPING SETS ((is_multiple, hash, bucket), (is_multiple, hash))
HAVING bucket > 0 OR NOT is_multiple`;
  const latest = SELECT_LATEST.replace("\nFROM", `, ${NO_MOMENTS}\nFROM`);
  return [counts, selectNames(variantHash), SELECT_INVALID, latest].join("\nUNION ALL\n");
}
