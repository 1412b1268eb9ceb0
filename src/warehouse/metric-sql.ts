import type { Metric } from "../experiment.ts";
import { hasNumbers, type MetricPlan } from "./metric-plan.ts";

// SQL columns about metric events, for the subqueries of src/warehouse/metric-query.ts from the innermost to the outermost.

const TIME = "toUnixTimestamp64Milli(timestamp)";

/**
 * In one list, the times of the first listed event start at this number, those of the second one at twice this number, and
 * so on. A range of times of one event is thus a range of numbers. No time is outside plus or minus half of it.
 */
const SPAN = 2 ** 50;

/** Before all times in a list. */
const NEVER = `toInt64(-${SPAN})`;

/** NaN is not a number, nor is infinity, which is left to isFinite. Hexadecimal numbers do not parse. */
export const NUMBER = "ifNull(toFloat64OrNull(trim(BOTH ' \\t\\n\\v\\f\\r' FROM value)), nan)";

const eventAt = (position: number) => `{event_${position}:String}`;

/** The condition that an event is one of those at the positions. */
export function isAnyOf(positions: Iterable<number>): string {
  return `event IN (${[...positions].map(eventAt).join(", ")})`;
}

/**
 * One column per event whose latest time is enough, and up to three lists of all other events, in the same order. A list
 * holds numbers only: values may be long texts. Two events of one identity are duplicates if their hashes in `rows` are
 * equal, which by chance happens to two of a million events with a probability of 3e-8.
 */
export function collectEvents({ latest, listed, needsRows, needsNumbers }: MetricPlan): string[] {
  const columns = latest.map((at) => `max(if(event = ${eventAt(at)}, ${TIME}, ${NEVER})) AS latest_${at}`);
  if (listed.length === 0) return columns;
  const isListed = isAnyOf(listed);
  // ClickHouse evaluates transform for each distinct event name instead of each row.
  const starts = listed.map((_, index) => SPAN * (index + 1));
  const time = `${TIME} + transform(event, [${listed.map(eventAt).join(", ")}], [${starts.join(", ")}], 0)`;
  columns.push(`groupArrayIf(${time}, ${isListed}) AS all_times`);
  if (needsRows) columns.push(`groupArrayIf(if(${isListed}, cityHash64(${time}, value), 0), ${isListed}) AS rows`);
  if (needsNumbers) columns.push(`groupArrayIf(if(${isListed}, ${NUMBER}, nan), ${isListed}) AS numbers`);
  return columns;
}

/** The same columns, where duplicates happened never. */
export function dropDuplicates({ latest, listed, needsRows, needsNumbers }: MetricPlan): string[] {
  const columns = latest.map((position) => `latest_${position}`);
  if (listed.length === 0) return columns;
  const distinct = `arrayMap((time, nth) -> if(nth = 1, time, ${NEVER}), all_times, arrayEnumerateUniq(rows))`;
  return [...columns, `${needsRows ? distinct : "all_times"} AS times`, ...(needsNumbers ? ["numbers"] : [])];
}

/** For each metric, the identity's value `y`, its covariate `x` and its number of events without a number. */
export function computeValues({ metrics, events, listed }: MetricPlan): string[] {
  return metrics.flatMap((metric, index) => {
    const position = events.indexOf(metric.event);
    const place = listed.indexOf(position);
    if (place < 0) return [`toFloat64(latest_${position} >= first_exposure) AS y_${index}`];
    const start = SPAN * (place + 1);
    const from = `first_exposure + ${start}`;
    const window = `{conversion_window_${index}:Int64}`;
    const to = metric.conversionWindowHours === null ? `{to:Int64} + ${start}` : `${from} + ${window}`;
    const columns = [`${valueBetween(from, to, metric)} AS y_${index}`];
    if (metric.lookbackDays > 0)
      columns.push(`${valueBetween(`${from} - {lookback_${index}:Int64}`, from, metric)} AS x_${index}`);
    if (hasNumbers(metric))
      columns.push(`${countOf(`${between(from, to)} AND NOT isFinite(number)`)} AS invalid_${index}`);
    return columns;
  });
}

const between = (from: string, to: string) => `time >= ${from} AND time < ${to}`;
const countOf = (condition: string) => `arrayCount((time, number) -> ${condition}, times, numbers)`;

function valueBetween(from: string, to: string, { aggregation }: Metric): string {
  const isBetween = between(from, to);
  const isNumber = `${isBetween} AND isFinite(number)`;
  const sum = `arraySum((time, number) -> if(${isNumber}, number, 0), times, numbers)`;
  switch (aggregation) {
    case "occurrence":
      return `toFloat64(arrayExists(time -> ${isBetween}, times))`;
    case "count":
      return `toFloat64(arrayCount(time -> ${isBetween}, times))`;
    case "sum":
      return sum;
    case "mean":
      return `${sum} / greatest(1, ${countOf(isNumber)})`;
  }
}

/** Aggregate functions over identities. Each metric has six, in this order; null: always 0. */
function aggregatesOf({ metrics }: MetricPlan): (readonly [name: string, columns: string] | null)[][] {
  return metrics.map((metric, index) => {
    const [x, y] = [`x_${index}`, `y_${index}`];
    const hasCovariate = metric.lookbackDays > 0;
    return [
      ["sumKahan", y],
      ["varPopStable", y],
      hasNumbers(metric) ? ["sum", `invalid_${index}`] : null,
      hasCovariate ? ["sumKahan", x] : null,
      hasCovariate ? ["varPopStable", x] : null,
      hasCovariate ? ["covarPopStable", `${x}, ${y}`] : null,
    ];
  });
}

/** The aggregates of the identities of one bucket, as states. */
export function aggregateValues(plan: MetricPlan): string[] {
  return aggregatesOf(plan).flatMap((aggregates, metric) =>
    aggregates.flatMap((aggregate, index) => {
      if (aggregate === null) return [];
      const [name, columns] = aggregate;
      return [`${name}State(${columns}) AS state_${metric}_${index}`];
    }),
  );
}

/** An array with the aggregates of each metric over all buckets. */
export function mergeStates(plan: MetricPlan): string {
  const merged = aggregatesOf(plan).map((aggregates, metric) => {
    const numbers = aggregates.map((aggregate, index) =>
      aggregate === null ? "0." : `toFloat64(${aggregate[0]}Merge(state_${metric}_${index}))`,
    );
    return `[${numbers.join(", ")}]`;
  });
  return `[${merged.join(", ")}]`;
}
