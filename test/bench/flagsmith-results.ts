import type { Metric } from "../../src/experiment.ts";
import { ENVIRONMENT, WINDOW } from "./exposure-events.ts";

// Flagsmith's queries for one refresh, as of August 2026: api/experimentation/results_query.py and
// warehouses/queries.py in github.com/Flagsmith/flagsmith. Its third query, for the chart of conversions, is left out.

const [FROM, TO] = [WINDOW.from, WINDOW.to].map((time) => `fromUnixTimestamp64Milli(${time})`);
const NUMBER = "toFloat64OrZero(m.value)";

const exposuresOf = (feature: string) => `
WITH exposures AS (
  SELECT identifier, if(uniqExact(value) > 1, '', any(value)) AS variant, uniqExact(value) > 1 AS quarantined,
    min(timestamp) AS first_exposure
  FROM events
  WHERE environment_key = '${ENVIRONMENT}' AND event = '$flag_exposure' AND feature_name = '${feature}'
    AND timestamp >= ${FROM} AND timestamp < ${TO}
  GROUP BY identifier
)`;

/** The query for exposures: identities by variant and day of their first exposure. */
export const flagsmithExposures = (feature: string) => `${exposuresOf(feature)}
SELECT quarantined, variant, toStartOfDay(first_exposure, 'UTC') AS bucket, count() AS first_exposed_identities
FROM exposures GROUP BY quarantined, variant, bucket ORDER BY bucket`;

/** The query for results: the exposures joined with the metric events, aggregated per identity. */
export function flagsmithResults(feature: string, metrics: readonly Metric[]): string {
  const values = metrics.map(({ event, aggregation }, index) => {
    const condition = `m.event = '${event}' AND m.timestamp >= e.first_exposure`;
    const value = {
      occurrence: `countIf(${condition}) > 0`,
      count: `countIf(${condition})`,
      sum: `sumIf(${NUMBER}, ${condition})`,
      mean: `if(countIf(${condition}) > 0, avgIf(${NUMBER}, ${condition}), 0)`,
    }[aggregation];
    return `${value} AS m${index}`;
  });
  const sums = metrics.map(
    (_, index) => `sum(m${index}) AS m${index}_sum, sum(m${index} * m${index}) AS m${index}_sum_squares`,
  );
  return `${exposuresOf(feature)},
unit_values AS (
  SELECT e.variant AS variant, ${values.join(", ")}
  FROM exposures AS e
  LEFT JOIN events AS m ON m.identifier = e.identifier AND m.environment_key = '${ENVIRONMENT}'
    AND m.event IN (${metrics.map(({ event }) => `'${event}'`).join(", ")})
    AND m.timestamp >= ${FROM} AND m.timestamp < ${TO}
  WHERE e.quarantined = 0
  GROUP BY e.identifier, e.variant
)
SELECT variant, count() AS n, ${sums.join(", ")} FROM unit_values GROUP BY variant`;
}
