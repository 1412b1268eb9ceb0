import type { Metric } from "../experiment.ts";
import { DAY, HOUR } from "../exposures/buckets.ts";
import type { QueryParameters } from "./client.ts";

/** The events of one name in one period around an identity's first exposure. Metrics with the same selection share it. */
export type Selection = {
  event: string;
  /** The length of the period from the first exposure on, in milliseconds; null: as long as the window. */
  after: number | null;
  /** The length of the period before the first exposure, in milliseconds; null: the period is after it. */
  before: number | null;
  /** The metrics need to know whether there are events, how many, or also their numbers. */
  needs: "any" | "count" | "numbers";
};

export type MetricPlan = {
  selections: readonly Selection[];
  metrics: readonly PlannedMetric[];
};

export type PlannedMetric = Pick<Metric, "aggregation"> & {
  /** The position of the selection that makes the value. */
  value: number;
  /** The position of the selection that makes the covariate; null: there is none. */
  covariate: number | null;
};

const NEEDS = ["any", "count", "numbers"] as const;
const NEEDED = { occurrence: "any", count: "count", sum: "numbers", mean: "numbers" } as const;

/** Plans the events to select. Metrics with the same event and period share a selection. */
export function planMetrics(metrics: readonly Metric[]): MetricPlan {
  const selections: Selection[] = [];
  function select({ event, aggregation }: Metric, period: Pick<Selection, "after" | "before">): number {
    const needs = NEEDED[aggregation];
    const position = selections.findIndex(
      (known) => known.event === event && known.after === period.after && known.before === period.before,
    );
    const known = selections[position];
    if (known === undefined) return selections.push({ event, ...period, needs }) - 1;
    if (NEEDS.indexOf(needs) > NEEDS.indexOf(known.needs)) known.needs = needs;
    return position;
  }
  const planned = metrics.map((metric): PlannedMetric => {
    const { aggregation, conversionWindowHours: hours, lookbackDays: days } = metric;
    return {
      aggregation,
      value: select(metric, { after: hours === null ? null : hours * HOUR, before: null }),
      covariate: days > 0 ? select(metric, { after: null, before: days * DAY }) : null,
    };
  });
  return { selections, metrics: planned };
}

/** The values of the parameters in the SQL. */
export function metricParameters({ selections }: MetricPlan, from: number): QueryParameters {
  const longest = Math.max(0, ...selections.map(({ before }) => before ?? 0));
  const parameters: Record<string, string | number> = { longest_lookback: longest, metrics_from: from - longest };
  for (const [position, { event, after, before }] of selections.entries()) {
    parameters[`event_${position}`] = event;
    const period = after ?? before;
    if (period !== null) parameters[`period_${position}`] = period;
  }
  return parameters;
}
