import type { Metric } from "../../src/experiment.ts";
import type { Query } from "./brute-force.ts";
import type { Event } from "./warehouse.ts";

const HOUR = 3_600_000;

/** The values of a variant's identities, and those of their covariate. */
export type Values = { y: number[]; x: number[] };

/** Computes each metric identity by identity and event by event, independently of the product's query. */
export function metricsByBruteForce(
  events: readonly Event[],
  { environment_key, feature_name, from, to }: Omit<Query, "variants">,
  metrics: readonly Metric[],
) {
  const inEnvironment = events.filter((event) => event.environment_key === environment_key);
  const exposures = inEnvironment.filter(
    ({ event = "$flag_exposure", ...exposure }) =>
      event === "$flag_exposure" &&
      exposure.feature_name === feature_name &&
      exposure.identifier !== "" &&
      exposure.value !== "" &&
      exposure.timestamp >= from &&
      exposure.timestamp < to,
  );
  const identities = [...Map.groupBy(exposures, ({ identifier }) => identifier)].flatMap(([identifier, own]) => {
    const [variant, ...others] = new Set(own.map(({ value }) => value));
    if (variant === undefined || others.length > 0) return [];
    return [{ identifier, variant, first: Math.min(...own.map(({ timestamp }) => timestamp)) }];
  });

  return metrics.map((metric) => {
    let invalidValues = 0;
    const variants = new Map<string, Values>();
    for (const { identifier, variant, first } of identities) {
      const own = inEnvironment.filter((event) => event.event === metric.event && event.identifier === identifier);
      const distinct = new Map(own.map((event) => [JSON.stringify([event.timestamp, event.value]), event]));
      const between = (from: number, to: number) =>
        [...distinct.values()].filter(({ timestamp }) => timestamp >= from && timestamp < to).map(({ value }) => value);
      const end = first + (metric.conversionWindowHours ?? Number.POSITIVE_INFINITY) * HOUR;
      const after = between(first, Math.min(end, to));
      const before = between(first - metric.lookbackDays * 24 * HOUR, first);
      if (metric.aggregation === "sum" || metric.aggregation === "mean")
        invalidValues += after.filter((value) => numberIn(value) === null).length;
      const values = variants.get(variant) ?? { y: [], x: [] };
      values.y.push(identityValue(metric, after));
      values.x.push(identityValue(metric, before));
      variants.set(variant, values);
    }
    return { key: metric.key, invalidValues, variants };
  });
}

function identityValue({ aggregation }: Metric, values: readonly string[]): number {
  if (aggregation === "occurrence") return values.length > 0 ? 1 : 0;
  if (aggregation === "count") return values.length;
  const numbers = values.map(numberIn).filter((number) => number !== null);
  const sum = numbers.reduce((total, number) => total + number, 0);
  return aggregation === "sum" || numbers.length === 0 ? sum : sum / numbers.length;
}

/** The number that a value consists of, if it is decimal and finite. */
function numberIn(value: string): number | null {
  const decimal = /^[ \t\n\v\f\r]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t\n\v\f\r]*$/.exec(
    value,
  )?.[1];
  const number = Number(decimal);
  return decimal !== undefined && Number.isFinite(number) ? number : null;
}

/** Moments in two passes. */
export function momentsOf({ y, x }: Values, hasCovariate: boolean) {
  const meanOf = (values: readonly number[]) => total(values) / values.length;
  const [yMean, xMean] = [meanOf(y), meanOf(x)];
  return {
    identities: y.length,
    sum: total(y),
    squaredDeviations: total(y.map((value) => (value - yMean) ** 2)),
    covariate: hasCovariate
      ? {
          sum: total(x),
          squaredDeviations: total(x.map((value) => (value - xMean) ** 2)),
          productsOfDeviations: total(x.map((value, index) => (value - xMean) * ((y[index] ?? Number.NaN) - yMean))),
        }
      : null,
  };
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
