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
 * One column per event whose latest time is enough, and up to two lists of all other events, in the same order. A list
 * holds numbers only: values may be long texts. Where duplicates matter, a number holds the time and a hash of the value.
 * Two events of one millisecond are duplicates if their hashes are equal.
 */
export function collectEvents({ latest, listed, needsRows, needsNumbers }: MetricPlan): string[] {
  const columns = latest.map((at) => `max(if(event = ${eventAt(at)}, at, ${NEVER})) AS latest_${at}`);
  if (listed.length === 0) return columns;
  const isListed = isAnyOf(listed);
  columns.push(needsRows ? `groupArrayIf(row, ${isListed}) AS rows` : `groupArrayIf(time, ${isListed}) AS times`);
  if (needsNumbers) columns.push(`groupArrayIf(number, ${isListed}) AS numbers`);
  return columns;
}

/** The columns of an event that go into its identity's lists. */
export function selectListed({ listed, needsRows, needsNumbers }: MetricPlan): string[] {
  if (listed.length === 0) return [];
  // ClickHouse evaluates transform for each distinct event name instead of each row.
  const starts = listed.map((_, index) => SPAN * (index + 1));
  const time = `${TIME} + transform(event, [${listed.map(eventAt).join(", ")}], [${starts.join(", ")}], 0)`;
  return [
    needsRows ? `bitShiftLeft(toUInt128(${time}), 64) + cityHash64(value) AS row` : `${time} AS time`,
    ...(needsNumbers ? [`${NUMBER} AS number`] : []),
  ];
}

/** The same columns, with times in place of rows. Duplicates happened never. */
export function dropDuplicates({ latest, listed, needsRows, needsNumbers }: MetricPlan): string[] {
  const columns = latest.map((position) => `latest_${position}`);
  if (listed.length === 0) return columns;
  const time = "toInt64(bitShiftRight(row, 64))";
  const distinct = `arrayMap((row, nth) -> if(nth = 1, ${time}, ${NEVER}), rows, arrayEnumerateUniq(rows)) AS times`;
  return [...columns, needsRows ? distinct : "times", ...(needsNumbers ? ["numbers"] : [])];
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

/**
 * An array with six aggregates of each metric over identities. The deviations come from stable algorithms. `0.` stands for
 * what the metric does not need.
 */
export function aggregateValues({ metrics }: MetricPlan): string {
  const aggregates = metrics.map((metric, index) => {
    const [x, y] = [`x_${index}`, `y_${index}`];
    const numbers = [
      `sumKahan(${y})`,
      `varPopStable(${y})`,
      hasNumbers(metric) ? `toFloat64(sum(invalid_${index}))` : "0.",
      ...(metric.lookbackDays > 0
        ? [`sumKahan(${x})`, `varPopStable(${x})`, `covarPopStable(${x}, ${y})`]
        : ["0.", "0.", "0."]),
    ];
    return `[${numbers.join(", ")}]`;
  });
  return `[${aggregates.join(", ")}]`;
}
