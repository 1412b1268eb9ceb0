import { aggregations, expectedDirections, type Metric } from "../experiment.ts";

/** A metric as the API shows it and the database stores it. */
export type MetricJson = ReturnType<typeof metricJson>;

export function metricJson(metric: Metric) {
  return {
    key: metric.key,
    name: metric.name,
    event: metric.event,
    aggregation: metric.aggregation,
    expected_direction: metric.expectedDirection,
    conversion_window_hours: metric.conversionWindowHours,
    lookback_days: metric.lookbackDays,
  };
}

/** Reads a stored metric. Throws TypeError if it is none. */
export function readMetric(value: unknown): Metric {
  const fields: { [key in keyof MetricJson]?: unknown } = Object(value);
  const { key, name, event, conversion_window_hours: hours, lookback_days: lookbackDays } = fields;
  const aggregation = aggregations.find((each) => each === fields.aggregation);
  const expectedDirection = expectedDirections.find((each) => each === fields.expected_direction);
  if (
    typeof key !== "string" ||
    typeof name !== "string" ||
    typeof event !== "string" ||
    aggregation === undefined ||
    expectedDirection === undefined ||
    (hours !== null && typeof hours !== "number") ||
    typeof lookbackDays !== "number"
  )
    throw new TypeError("a stored metric is malformed");
  return { key, name, event, aggregation, expectedDirection, conversionWindowHours: hours, lookbackDays };
}
