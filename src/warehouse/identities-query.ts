import { breakdownText } from "./breakdown-query.ts";
import type { Warehouse } from "./client.ts";
import { EVENTS_TABLE, FIRST_AND_LATE, IN_WINDOW, IS_VALID } from "./event-sql.ts";
import { type ExposureQuery, exposureParameters } from "./exposure-query.ts";

/**
 * The query that lists the identities with a value of a dimension, to be shown and run by hand. Of several first exposures at
 * the same millisecond, it may look at another one than the breakdown.
 */
export function describeIdentitiesQuery(
  table: Warehouse["table"],
  query: ExposureQuery,
  dimension: string,
  value: string,
) {
  const { text, parameters } = breakdownText(dimension);
  const sql = `SELECT
  identifier,
  groupUniqArray(value) AS variants,
  min(timestamp) AS first_exposure
FROM ${EVENTS_TABLE}
WHERE ${IN_WINDOW} AND ${IS_VALID}
GROUP BY identifier
HAVING argMin(${text}, ${FIRST_AND_LATE}) = {first_value:String}
ORDER BY first_exposure`;
  return { sql, parameters: { ...exposureParameters(table, query), ...parameters, first_value: value } };
}
