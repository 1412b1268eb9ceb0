import type { Metric } from "../experiment.ts";
import type { Window } from "../exposures/buckets.ts";
import { type CountedExposures, identitiesByVariant } from "../exposures/summary.ts";
import { failed, ok, type Result } from "../result.ts";
import { type Moments, mergeMoments } from "../results/moments.ts";
import { readCounts } from "./exposure-rows.ts";
import type { WarehouseFailure } from "./failure.ts";

export type CountedMetric = {
  key: string;
  /** Events that count for an identity, but whose value is not a number; 0 where numbers do not matter. */
  invalidValues: number;
  /** By variant, each with at least one identity. Sums that are too large for a double are NaN. */
  moments: ReadonlyMap<string, Moments>;
};

export type CountedMetrics = { exposures: CountedExposures; metrics: CountedMetric[] };

/** A variant's moments over its identities with events. */
type MomentsRow = { variant_hash: string; identities: number; moments: (number | null)[][] };

/** Reads the rows of the metrics query. Returns `collision` if one hash has two names. */
export function readMetrics(
  rows: readonly unknown[],
  metrics: readonly Metric[],
  window: Window,
): Result<CountedMetrics, WarehouseFailure> | "collision" {
  const { moments: momentsRows = [], counts = [] } = Object.groupBy(rows, (row) =>
    kindOf(row) === "moments" ? "moments" : "counts",
  );
  const exposures = readCounts(counts, window);
  if (exposures === "collision" || !exposures.ok) return exposures;

  const names = new Map(counts.filter(isNameRow).map(({ variant_hash, name }) => [variant_hash, name]));
  const identities = identitiesByVariant(exposures.value);
  const withEvents = new Map<string, MomentsRow>();
  for (const row of momentsRows) {
    if (!isMomentsRow(row) || row.moments.length !== metrics.length) return failed({ kind: "bad_rows" });
    const variant = names.get(row.variant_hash);
    if (variant === undefined || row.identities > (identities.get(variant) ?? 0)) return failed({ kind: "bad_rows" });
    withEvents.set(variant, row);
  }

  const counted = metrics.map(({ key }) => ({ key, invalidValues: 0, moments: new Map<string, Moments>() }));
  for (const [variant, total] of identities) {
    if (variant === null) continue;
    const row = withEvents.get(variant);
    for (const [index, metric] of counted.entries()) {
      const hasCovariate = (metrics[index]?.lookbackDays ?? 0) > 0;
      const { invalid, moments } = readMoments(row?.identities ?? 0, row?.moments[index] ?? [], hasCovariate);
      metric.invalidValues += invalid;
      metric.moments.set(variant, mergeMoments(moments, zeros(total - moments.identities, hasCovariate)));
    }
  }
  return ok({ exposures: exposures.value, metrics: counted });
}

/** Reads a metric's six numbers. Without a row, all are 0. */
function readMoments(identities: number, numbers: readonly (number | null)[], hasCovariate: boolean) {
  const read = numbers.map((number) => number ?? Number.NaN);
  const [sum = 0, variance = 0, invalid = 0, xSum = 0, xVariance = 0, covariance = 0] = read;
  const covariate = {
    sum: xSum,
    squaredDeviations: xVariance * identities,
    productsOfDeviations: covariance * identities,
  };
  const moments: Moments = {
    identities,
    sum,
    squaredDeviations: variance * identities,
    covariate: hasCovariate ? covariate : null,
  };
  return { invalid, moments };
}

/** The moments of identities without events. */
function zeros(identities: number, hasCovariate: boolean): Moments {
  const covariate = { sum: 0, squaredDeviations: 0, productsOfDeviations: 0 };
  return { identities, sum: 0, squaredDeviations: 0, covariate: hasCovariate ? covariate : null };
}

function kindOf(row: unknown): unknown {
  return typeof row === "object" && row !== null && "kind" in row ? row.kind : undefined;
}

function isNameRow(row: unknown): row is { variant_hash: string; name: string } {
  return kindOf(row) === "variant";
}

function isMomentsRow(row: unknown): row is MomentsRow {
  return (
    typeof row === "object" &&
    row !== null &&
    "variant_hash" in row &&
    typeof row.variant_hash === "string" &&
    "identities" in row &&
    Number.isSafeInteger(row.identities) &&
    Number(row.identities) > 0 &&
    "moments" in row &&
    Array.isArray(row.moments) &&
    row.moments.every(isMoments)
  );
}

/** Six numbers, of which null is one that is too large for a double. Only the covariance may be negative. */
function isMoments(numbers: unknown): boolean {
  if (!Array.isArray(numbers) || numbers.length !== 6) return false;
  const [, variance, invalid, , covariateVariance] = numbers;
  return (
    numbers.every((number) => number === null || typeof number === "number") &&
    Number.isSafeInteger(invalid) &&
    Math.min(variance, invalid, covariateVariance) >= 0
  );
}
