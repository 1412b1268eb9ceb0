import type { Metric } from "../experiment.ts";
import { DAY, HOUR } from "../exposures/buckets.ts";
import type { CountedExposures } from "../exposures/summary.ts";
import { failed, ok, type Result } from "../result.ts";
import type { Moments } from "../results/moments.ts";
import type { QueryParameters, Warehouse } from "./client.ts";
import { countExposures } from "./count-exposures.ts";
import { EVENTS_TABLE, IN_WINDOW, IS_VALID } from "./event-sql.ts";
import { type ExposureQuery, exposureParameters } from "./exposure-query.ts";
import type { WarehouseFailure } from "./failure.ts";

export type CountedMetric = {
  key: string;
  /** Events that count for an identity, but whose value is not a number; 0 where numbers do not matter. */
  invalidValues: number;
  /** By variant, each with at least one identity. Sums that are too large for a double are NaN. */
  moments: ReadonlyMap<string, Moments>;
};

export type CountedMetrics = { exposures: CountedExposures; metrics: CountedMetric[] };

/** Counts the exposures of one experiment, and the values of its identities for each metric. */
export async function countMetrics(
  warehouse: Warehouse,
  query: ExposureQuery,
  metrics: readonly Metric[],
): Promise<Result<CountedMetrics, WarehouseFailure>> {
  const exposures = await countExposures(warehouse, query);
  if (!exposures.ok) return exposures;
  const rows = await warehouse.select(metrics.map(metricSql).join("\nUNION ALL\n"), {
    ...exposureParameters(warehouse.table, query),
    ...Object.assign({}, ...metrics.map(metricParameters)),
  });
  if (!rows.ok) return rows;
  const counted = metrics.map(({ key }) => ({ key, invalidValues: 0, moments: new Map<string, Moments>() }));
  for (const row of rows.value) {
    const values = readRow(row);
    const target = counted[values?.metric ?? -1];
    if (values === null || target === undefined) return failed({ kind: "bad_rows" });
    target.invalidValues += values.invalidValues;
    target.moments.set(values.variant, values.moments);
  }
  return ok({ exposures: exposures.value, metrics: counted });
}

const NUMBER = "toFloat64OrNull(trim(BOTH ' \\t\\n\\v\\f\\r' FROM value))";

function metricSql(metric: Metric, index: number): string {
  const to = metric.conversionWindowHours === null ? "{to:Int64}" : `first + {conversion_window_${index}:Int64}`;
  const after = `time >= first AND time < ${to}`;
  const before = `time >= first - {lookback_${index}:Int64} AND time < first`;
  const moments = (column: string) => `sumKahan(${column}), varPopStable(${column}) * count()`;
  const covariate = metric.lookbackDays > 0 ? `, ${moments("x")}, covarPopStable(x, y) * count()` : "";
  return `
SELECT ${index} AS metric, variant, count() AS identities, sum(invalid) AS invalid_values,
  [${moments("y")}${covariate}] AS moments
FROM (
  SELECT variant, identifier, ${identityValue(metric, after)} AS y, ${identityValue(metric, before)} AS x,
    countIf(${after} AND NOT is_number) AS invalid
  FROM (
    SELECT identifier, any(value) AS variant, toUnixTimestamp64Milli(min(timestamp)) AS first
    FROM ${EVENTS_TABLE} WHERE ${IN_WINDOW} AND ${IS_VALID}
    GROUP BY identifier HAVING uniqExact(value) = 1
  ) AS units
  LEFT JOIN (
    SELECT DISTINCT identifier, toUnixTimestamp64Milli(timestamp) AS time, value,
      ifNull(${NUMBER}, nan) AS number, ${isSummed(metric) ? "isFinite(number)" : "1"} AS is_number
    FROM ${EVENTS_TABLE}
    WHERE environment_key = {environment_key:String} AND event = {event_${index}:String}
      AND timestamp >= fromUnixTimestamp64Milli({from:Int64} - {lookback_${index}:Int64})
      AND timestamp < fromUnixTimestamp64Milli({to:Int64})
  ) AS metric_events USING (identifier)
  GROUP BY variant, identifier
)
GROUP BY variant`;
}

function isSummed({ aggregation }: Metric): boolean {
  return aggregation === "sum" || aggregation === "mean";
}

/** The value of an identity from its events that meet the condition. */
function identityValue({ aggregation }: Metric, condition: string): string {
  const isCounted = `${condition} AND is_number`;
  if (aggregation === "occurrence") return `toFloat64(countIf(${isCounted}) > 0)`;
  if (aggregation === "count") return `toFloat64(countIf(${isCounted}))`;
  const sum = `sumKahanIf(if(isFinite(number), number, 0), ${isCounted})`;
  return aggregation === "sum" ? sum : `${sum} / greatest(1, countIf(${isCounted}))`;
}

function metricParameters({ event, conversionWindowHours, lookbackDays }: Metric, index: number): QueryParameters {
  return {
    [`event_${index}`]: event,
    [`conversion_window_${index}`]: (conversionWindowHours ?? 0) * HOUR,
    [`lookback_${index}`]: lookbackDays * DAY,
  };
}

function readRow(row: unknown) {
  const { metric, variant, identities, invalid_values: invalidValues, moments } = Object(row);
  const isValid =
    Number.isSafeInteger(metric) &&
    typeof variant === "string" &&
    Number.isSafeInteger(identities) &&
    Number.isSafeInteger(invalidValues) &&
    Array.isArray(moments) &&
    (moments.length === 2 || moments.length === 5) &&
    moments.every((moment) => moment === null || Number.isFinite(moment));
  if (!isValid) return null;
  const [sum = 0, squaredDeviations = 0, covariateSum = 0, covariateDeviations = 0, productsOfDeviations = 0] =
    moments.map((moment: number | null) => moment ?? Number.NaN);
  const covariate =
    moments.length === 2 ? null : { sum: covariateSum, squaredDeviations: covariateDeviations, productsOfDeviations };
  const read: Moments = { identities, sum, squaredDeviations, covariate };
  return { metric: Number(metric), variant: String(variant), invalidValues: Number(invalidValues), moments: read };
}
