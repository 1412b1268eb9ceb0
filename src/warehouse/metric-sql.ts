import type { MetricPlan, PlannedMetric, Selection } from "./metric-plan.ts";

// SQL columns about metric events, for the subqueries of src/warehouse/metric-query.ts from the innermost to the outermost.

/** NaN is not a number, nor is infinity, which is left to isFinite. Hexadecimal numbers do not parse. */
export const NUMBER = "ifNull(toFloat64OrNull(trim(BOTH ' \\t\\n\\v\\f\\r' FROM value)), nan)";

const eventAt = (position: number) => `{event_${position}:String}`;

/** The condition that an event is of a name that some metric counts. */
export function isCounted({ selections }: MetricPlan): string {
  const positions = new Map(selections.map(({ event }, position) => [event, position]));
  return `event IN (${[...positions.values()].map(eventAt).join(", ")})`;
}

/**
 * The columns of an event that go into its identity's lists: a hash of its time and value, and the same followed by the
 * bits of its number. Two events of one name and identity are duplicates if their hashes are equal.
 */
export function describeEvent({ selections }: MetricPlan): string[] {
  const hash = "cityHash64(at, value)";
  const columns = ["toUnixTimestamp64Milli(timestamp) AS at"];
  if (selections.some(({ needs }) => needs === "count")) columns.push(`${hash} AS event_hash`);
  if (selections.some(({ needs }) => needs === "numbers"))
    columns.push(`bitShiftLeft(toUInt128(${hash}), 64) + reinterpretAsUInt64(${NUMBER}) AS numbered_hash`);
  return columns;
}

/** For each selection, whether there is any event, or the list of its events. */
export function collectEvents({ selections }: MetricPlan): string[] {
  return selections.map((selection, position) => {
    const isSelected = conditionOf(selection, position);
    if (selection.needs === "any") return `max(${isSelected}) AS any_${position}`;
    const column = selection.needs === "count" ? "event_hash" : "numbered_hash";
    return `groupArrayIf(${column}, ${isSelected}) AS list_${position}`;
  });
}

function conditionOf({ after, before }: Selection, position: number): string {
  const period = `{period_${position}:Int64}`;
  const isEvent = `event = ${eventAt(position)}`;
  if (before !== null) return `${isEvent} AND at < earliest AND at >= earliest - ${period}`;
  return `${isEvent} AND at >= earliest${after === null ? "" : ` AND at < earliest + ${period}`}`;
}

/** For each selection, whether there is any event, their count, or their numbers, all without duplicates. */
export function dropDuplicates({ selections }: MetricPlan): string[] {
  return selections.map(withoutDuplicates);
}

function withoutDuplicates({ needs }: Selection, position: number): string {
  const distinct = `arrayDistinct(list_${position})`;
  switch (needs) {
    case "any":
      return `any_${position}`;
    case "count":
      return `length(${distinct}) AS count_${position}`;
    case "numbers":
      return `arrayMap(event -> reinterpretAsFloat64(toUInt64(event)), ${distinct}) AS numbers_${position}`;
  }
}

/** For each metric, the identity's value `y`, its covariate `x` and its number of events without a number. */
export function computeValues({ selections, metrics }: MetricPlan): string[] {
  const needsAt = (position: number) => selections[position]?.needs ?? "any";
  return metrics.flatMap((metric, index) => {
    const { aggregation, value, covariate } = metric;
    const columns = [`${valueIn(aggregation, needsAt(value), value)} AS y_${index}`];
    if (covariate !== null) columns.push(`${valueIn(aggregation, needsAt(covariate), covariate)} AS x_${index}`);
    if (hasNumbers(metric))
      columns.push(`arrayCount(number -> NOT isFinite(number), numbers_${value}) AS invalid_${index}`);
    return columns;
  });
}

function valueIn(aggregation: PlannedMetric["aggregation"], needs: Selection["needs"], position: number): string {
  const [any, numbers] = [`any_${position}`, `numbers_${position}`];
  const count = needs === "count" ? `count_${position}` : `length(${numbers})`;
  const sum = `arraySum(number -> if(isFinite(number), number, 0), ${numbers})`;
  switch (aggregation) {
    case "occurrence":
      return `toFloat64(${needs === "any" ? any : `${count} > 0`})`;
    case "count":
      return `toFloat64(${count})`;
    case "sum":
      return sum;
    case "mean":
      return `${sum} / greatest(1, arrayCount(number -> isFinite(number), ${numbers}))`;
  }
}

const hasNumbers = ({ aggregation }: PlannedMetric) => aggregation === "sum" || aggregation === "mean";

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
      ...(metric.covariate === null
        ? ["0.", "0.", "0."]
        : [`sumKahan(${x})`, `varPopStable(${x})`, `covarPopStable(${x}, ${y})`]),
    ];
    return `[${numbers.join(", ")}]`;
  });
  return `[${aggregates.join(", ")}]`;
}
