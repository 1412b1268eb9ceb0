import type { Metric } from "../experiment.ts";
import type { Window } from "../exposures/buckets.ts";
import type { CountedExposures } from "../exposures/summary.ts";
import { failed, ok, type Result } from "../result.ts";
import type { Moments } from "../results/moments.ts";
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
  const counted = metrics.map(({ key }) => ({ key, invalidValues: 0, moments: new Map<string, Moments>() }));
  for (const row of momentsRows) {
    if (!isMomentsRow(row) || row.moments.length !== metrics.length) return failed({ kind: "bad_rows" });
    const variant = names.get(row.variant_hash);
    if (variant === undefined) return failed({ kind: "bad_rows" });
    for (const [index, metric] of counted.entries()) {
      const numbers = row.moments[index]?.map((number) => number ?? Number.NaN) ?? [];
      const [sum = 0, variance = 0, invalid = 0, xSum = 0, xVariance = 0, covariance = 0] = numbers;
      metric.invalidValues += invalid;
      metric.moments.set(variant, {
        identities: row.identities,
        sum,
        squaredDeviations: variance * row.identities,
        covariate:
          (metrics[index]?.lookbackDays ?? 0) > 0
            ? {
                sum: xSum,
                squaredDeviations: xVariance * row.identities,
                productsOfDeviations: covariance * row.identities,
              }
            : null,
      });
    }
  }
  return ok({ exposures: exposures.value, metrics: counted });
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
