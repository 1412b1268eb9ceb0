import { EVENTS_TABLE, IN_WINDOW, IS_VALID } from "./event-sql.ts";
import { EVENTS, exposureSql, type VariantHash } from "./exposure-query.ts";
import type { MetricPlan } from "./metric-plan.ts";
import {
  aggregateValues,
  collectEvents,
  computeValues,
  describeEvent,
  dropDuplicates,
  isCounted,
} from "./metric-sql.ts";

/**
 * The SQL that counts exposures and metrics. It returns the rows of the exposures query, and one row per variant with the
 * moments of each metric over those of the variant's identities that have events. All others have the value 0.
 *
 * Metric events are joined with the identities that saw a single variant, by the same hashes as in the exposures query.
 * This groups the exposures twice, and still costs less than one GROUP BY of everything. An event before the first
 * exposure, or of another identity, does not reach the GROUP BY of metric events. An identity without events takes no
 * space there. Over a Distributed table, the shards send all events of the metrics to be joined.
 *
 * Where duplicates matter, the remaining events are kept as lists of 8 or 16 bytes an event, one list for each event name
 * and period. So the memory grows with the events of the experiment's identities. At the server's limit the query fails,
 * and is repeated with the groups and the join on disk. The probability that two different events among the n of an
 * identity count as duplicates is n² / 2^65: 3e-8 for a million.
 *
 * ALL is written out because a user's profile may set another default.
 */
export function metricSql(plan: MetricPlan, variantHash: VariantHash): string {
  const list = (columns: readonly string[], indent: number) => columns.join(`,\n${" ".repeat(indent)}`);
  return `
SELECT *, CAST([], 'Array(Array(Float64))') AS moments
FROM (${exposureSql(EVENTS, variantHash)}
)
UNION ALL
SELECT 'moments' AS kind, '' AS name, toString(variant) AS variant_hash, 0 AS at,
  count() AS identities, 0 AS late, 0 AS events, ${aggregateValues(plan)} AS moments
FROM (
  SELECT
    variant,
    ${list(computeValues(plan), 4)}
  FROM (
    SELECT
      variant,
      ${list(dropDuplicates(plan), 6)}
    FROM (
      SELECT
        any(variant_and) AS variant,
        ${list(collectEvents(plan), 8)}
      FROM (
        SELECT
          cityHash64(identifier) AS identity_1,
          xxh3(identifier) AS identity_2,
          event,
          ${list(describeEvent(plan), 10)}
        FROM ${EVENTS_TABLE}
        WHERE environment_key = {environment_key:String}
          AND timestamp >= fromUnixTimestamp64Milli({metrics_from:Int64})
          AND timestamp < fromUnixTimestamp64Milli({to:Int64})
          AND ${isCounted(plan)}
      ) AS metric_events
      ALL INNER JOIN (
        SELECT
          cityHash64(identifier) AS identity_1,
          xxh3(identifier) AS identity_2,
          groupBitAnd(${variantHash}(value)) AS variant_and,
          min(toUnixTimestamp64Milli(timestamp)) AS earliest
        FROM ${EVENTS_TABLE}
        WHERE ${IN_WINDOW} AND ${IS_VALID}
        GROUP BY identity_1, identity_2
        HAVING variant_and = groupBitOr(${variantHash}(value))
      ) AS exposed
      USING (identity_1, identity_2)
      WHERE at >= earliest - {longest_lookback:Int64}
      GROUP BY identity_1, identity_2
    )
  )
)
GROUP BY variant`;
}
