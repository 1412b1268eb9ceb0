import type { Event } from "./warehouse.ts";

export type MetricInput = {
  key: string;
  event: string;
  aggregation: "occurrence" | "count" | "sum" | "mean";
  expected_direction: string;
  conversion_window_hours: number | null;
  lookback_days: number;
};

type Query = { environment_key: string; feature_name: string; from: number; to: number };

const HOUR = 3_600_000;

/** Computes one metric's values identity by identity, independently of the product's query. Returns them by variant. */
export function valuesByBruteForce(events: readonly Event[], query: Query, metric: MetricInput) {
  const { environment_key, feature_name, from, to } = query;
  const exposures = events.filter(
    (e) =>
      (e.event ?? "$flag_exposure") === "$flag_exposure" &&
      e.environment_key === environment_key &&
      e.feature_name === feature_name &&
      e.timestamp >= from &&
      e.timestamp < to &&
      e.identifier !== "" &&
      e.value !== "",
  );
  const values = new Map<string, number[]>();
  const covariates = new Map<string, number[]>();
  let invalidValues = 0;
  for (const identifier of new Set(exposures.map((e) => e.identifier))) {
    const own = exposures.filter((e) => e.identifier === identifier);
    const [variant = "", ...others] = new Set(own.map((e) => e.value));
    if (others.length > 0) continue;
    const first = Math.min(...own.map((e) => e.timestamp));
    const hours = metric.conversion_window_hours;
    const end = hours === null ? to : Math.min(to, first + hours * HOUR);
    const happened = new Map(
      events
        .filter((e) => e.event === metric.event && e.environment_key === environment_key && e.identifier === identifier)
        .map((e) => [`${e.timestamp} ${e.value}`, e]),
    );
    const between = (start: number, before: number) =>
      [...happened.values()].filter((e) => e.timestamp >= start && e.timestamp < before).map((e) => e.value);
    const after = between(first, end);
    if (metric.aggregation === "sum" || metric.aggregation === "mean")
      invalidValues += after.filter((value) => numberIn(value) === null).length;
    push(values, variant, aggregate(metric.aggregation, after));
    push(covariates, variant, aggregate(metric.aggregation, between(first - metric.lookback_days * 24 * HOUR, first)));
  }
  return { values, covariates, invalidValues };
}

function push(lists: Map<string, number[]>, key: string, value: number): void {
  lists.set(key, [...(lists.get(key) ?? []), value]);
}

function numberIn(value: string): number | null {
  const isDecimal = /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value);
  return isDecimal && Number.isFinite(Number(value)) ? Number(value) : null;
}

function aggregate(aggregation: MetricInput["aggregation"], values: readonly string[]): number {
  const numbers = values.map(numberIn).filter((number) => number !== null);
  const sum = numbers.reduce((total, number) => total + number, 0);
  switch (aggregation) {
    case "occurrence":
      return values.length > 0 ? 1 : 0;
    case "count":
      return values.length;
    case "sum":
      return sum;
    case "mean":
      return numbers.length === 0 ? 0 : sum / numbers.length;
  }
}

/** The figures of one variant, as in the response. */
export function figuresOf(values: readonly number[]) {
  const sum = values.reduce((total, value) => total + value, 0);
  const mean = sum / values.length;
  const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / (values.length - 1);
  return { identities: values.length, sum, mean, standard_deviation: values.length < 2 ? null : Math.sqrt(variance) };
}
