import { fitsInRow } from "../row-size.ts";
import type { MetricCounts } from "./metric-counts.ts";
import { metricJson, readMetric } from "./metric-json.ts";
import type { Covariate, Moments } from "./moments.ts";

/** The counts as JSON. Variants are a list, because an object would reorder keys like `2` and lose `__proto__`. */
export function countsJson(counted: readonly MetricCounts[]) {
  return counted.map(({ metric, invalidValues, variants }) => ({
    metric: metricJson(metric),
    invalid_values: invalidValues,
    variants: [...variants].map(([key, { identities, sum, squaredDeviations, covariate }]) => ({
      key,
      identities,
      sum,
      squared_deviations: squaredDeviations,
      covariate: covariate && {
        sum: covariate.sum,
        squared_deviations: covariate.squaredDeviations,
        products_of_deviations: covariate.productsOfDeviations,
      },
    })),
  }));
}

/** The text of `countsJson`; null if it does not fit into a row. */
export function countsText(counted: readonly MetricCounts[]): string | null {
  const text = JSON.stringify(countsJson(counted));
  return fitsInRow(text) ? text : null;
}

/** Parses the text of `countsText`; none for null. */
export function parseCounts(text: string | null): MetricCounts[] {
  return text === null ? [] : readCountsJson(JSON.parse(text));
}

/** Reads the parsed JSON of `countsJson`. Throws TypeError if it is anything else. */
export function readCountsJson(value: unknown): MetricCounts[] {
  return parseList(value).map((each) => ({
    metric: readMetric(each["metric"]),
    invalidValues: countOf(each["invalid_values"]),
    variants: new Map(
      parseList(each["variants"]).map((variant) => {
        const { key, covariate, ...moments } = variant;
        if (typeof key !== "string") throw new TypeError("a variant lacks its key");
        return [key, momentsOf(moments, covariate)];
      }),
    ),
  }));
}

type Fields = Readonly<Record<string, unknown>>;

function momentsOf(fields: Fields, covariate: unknown): Moments {
  return {
    identities: countOf(fields["identities"]),
    sum: numberOf(fields["sum"]),
    squaredDeviations: numberOf(fields["squared_deviations"]),
    covariate: covariate === null ? null : covariateOf(Object(covariate)),
  };
}

function covariateOf(fields: Fields): Covariate {
  return {
    sum: numberOf(fields["sum"]),
    squaredDeviations: numberOf(fields["squared_deviations"]),
    productsOfDeviations: numberOf(fields["products_of_deviations"]),
  };
}

export function parseList(value: unknown): Fields[] {
  if (!Array.isArray(value)) throw new TypeError("a list is missing");
  return value.map((each) => Object(each));
}

/** A number; NaN for null, which JSON has in place of a number that is too large. */
function numberOf(value: unknown): number {
  if (value === null) return Number.NaN;
  if (typeof value !== "number") throw new TypeError("a number is missing");
  return value;
}

/** JSON may contain 1e999, which is read as Infinity and would be written as null. */
function countOf(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new TypeError("a count is missing, negative or too large");
  return value;
}
