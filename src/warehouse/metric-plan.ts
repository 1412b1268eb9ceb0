import type { Metric } from "../experiment.ts";
import { DAY, HOUR } from "../exposures/buckets.ts";
import type { QueryParameters } from "./client.ts";

/** The events that a query collects for its metrics, named by their position in `events`. */
export type MetricPlan = {
  metrics: readonly Metric[];
  /** Event names, without duplicates. */
  events: readonly string[];
  /** Events whose latest time is enough. */
  latest: readonly number[];
  /** Events that are all kept. */
  listed: readonly number[];
  /** Duplicates matter, except to occurrence. */
  needsRows: boolean;
  needsNumbers: boolean;
};

export function planMetrics(metrics: readonly Metric[]): MetricPlan {
  const events = [...new Set(metrics.map(({ event }) => event))];
  const positions = [...events.keys()];
  const isListed = (position: number) =>
    metrics.some((metric) => metric.event === events[position] && !needsOnlyLatest(metric));
  return {
    metrics,
    events,
    latest: positions.filter((position) => !isListed(position)),
    listed: positions.filter(isListed),
    needsRows: metrics.some(({ aggregation }) => aggregation !== "occurrence"),
    needsNumbers: metrics.some(hasNumbers),
  };
}

/** If any event is at or after the first exposure, the latest one is. A window that ends earlier needs more than that. */
function needsOnlyLatest({ aggregation, conversionWindowHours, lookbackDays }: Metric): boolean {
  return aggregation === "occurrence" && conversionWindowHours === null && lookbackDays === 0;
}

export function hasNumbers({ aggregation }: Metric): boolean {
  return aggregation === "sum" || aggregation === "mean";
}

/** The values of the parameters in the SQL. */
export function metricParameters({ metrics, events }: MetricPlan, from: number): QueryParameters {
  const parameters: Record<string, string | number> = {
    metrics_from: from - DAY * Math.max(0, ...metrics.map(({ lookbackDays }) => lookbackDays)),
  };
  for (const [position, event] of events.entries()) parameters[`event_${position}`] = event;
  for (const [index, { conversionWindowHours, lookbackDays }] of metrics.entries()) {
    if (conversionWindowHours !== null) parameters[`conversion_window_${index}`] = conversionWindowHours * HOUR;
    if (lookbackDays > 0) parameters[`lookback_${index}`] = lookbackDays * DAY;
  }
  return parameters;
}
