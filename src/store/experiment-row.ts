import type { Definition, Experiment, Metric, Status, Variant } from "../experiment.ts";
import { metricJson, readMetric } from "../results/metric-json.ts";
import { numberOf, numberOrNull, type Row, textOf } from "./database.ts";

// The columns of an experiment's definition, and conditions on them that several statements share.

export const EXPERIMENT_COLUMNS =
  "id, name, environment_key, feature_name, variants, started_at, ended_at, created_at, updated_at, metrics, weights_changed_at";

/** The environment whose experiments a caller may see and change; null: all environments. */
export type Scope = string | null;

/** A condition: the experiment is in the scope that is bound to this parameter. */
export const inScope = (parameter: string) => `(${parameter} IS NULL OR environment_key = ${parameter})`;

/** A condition: the numbers are final, and the end has passed. A clock that was ahead may have made them final before. */
const isOver = (now: string) => `(is_final = 1 AND ended_at <= ${now})`;

/**
 * A condition on the parameters ?1 to ?7, in the order of the columns: the window overlaps that of no other experiment of
 * the feature, or is the stored one. An experiment without a start has no window, and one that is over and final does not
 * block.
 */
export const featureIsFree = (now: string) => `(NOT EXISTS (
      SELECT 1 FROM experiments WHERE environment_key = ?3 AND feature_name = ?4 AND id != ?1 AND NOT ${isOver(now)}
        AND ?6 < coalesce(ended_at, 9e15) AND started_at < coalesce(?7, 9e15)
    ) OR EXISTS (
      SELECT 1 FROM experiments
      WHERE id = ?1 AND environment_key = ?3 AND feature_name = ?4 AND started_at IS ?6 AND ended_at IS ?7
    ))`;

/** A condition: the numbers are not final, or they are to be recounted. The index of sweeps has the same condition. */
export const NEEDS_REFRESH = "(is_final = 0 OR refresh_requested_at IS NOT NULL)";

/** `statusAt` as conditions, each with one parameter: the current time. */
export const STATUS_AT: Readonly<Record<Status, string>> = {
  draft: "coalesce(started_at > ?, 1)",
  running: "? BETWEEN started_at AND coalesce(ended_at - 1, 9e15)",
  completed: "ended_at <= ?",
};

/** The weights of a JSON list of variants, relative to the largest one. Keys stay JSON, which keeps any text. */
const relativeWeights = (variants: string, sign: "" | "-") =>
  `SELECT value -> 'key' AS key, ${sign}1.0 * (value ->> 'weight') / max(value ->> 'weight') OVER () AS part FROM json_each(${variants})`;

/**
 * A condition: two JSON lists of variants split identities differently. Their order, their scale and variants of weight 0
 * do not matter. The tolerance ignores rounding.
 */
export const splitsDiffer = (before: string, after: string) => `EXISTS (
      SELECT 1 FROM (${relativeWeights(before, "")} UNION ALL ${relativeWeights(after, "-")})
      GROUP BY key HAVING abs(sum(part)) > 1e-9
    )`;

/** A condition: a JSON list of variants has a weight above 0. */
export const hasWeights = (variants: string) =>
  `EXISTS (SELECT 1 FROM json_each(${variants}) WHERE value ->> 'weight' > 0)`;

/** The values of the columns environment_key to ended_at. */
export function definitionValues(definition: Definition): (string | number | null)[] {
  const { environmentKey, featureName, variants, startedAt, endedAt } = definition;
  return [environmentKey, featureName, JSON.stringify(variants), startedAt, endedAt];
}

export function experimentOf(row: Row): Experiment {
  return {
    id: textOf(row, "id"),
    name: textOf(row, "name"),
    environmentKey: textOf(row, "environment_key"),
    featureName: textOf(row, "feature_name"),
    variants: variantsOf(textOf(row, "variants")),
    metrics: metricsOf(textOf(row, "metrics")),
    startedAt: numberOrNull(row, "started_at"),
    endedAt: numberOrNull(row, "ended_at"),
    createdAt: numberOf(row, "created_at"),
    updatedAt: numberOf(row, "updated_at"),
    weightsChangedAt: numberOrNull(row, "weights_changed_at"),
  };
}

/** Parses the column of the variants. */
export function variantsOf(json: string): Variant[] {
  const variants: unknown = JSON.parse(json);
  if (!Array.isArray(variants)) throw new TypeError("variants is not a list");
  return variants.map(({ key, weight }: Row) => {
    if (typeof key !== "string" || typeof weight !== "number") throw new TypeError("a variant lacks its key or weight");
    return { key, weight };
  });
}

/** The value of the column of the metrics. */
export function metricsText(metrics: readonly Metric[]): string {
  return JSON.stringify(metrics.map(metricJson));
}

function metricsOf(json: string): Metric[] {
  const metrics: unknown = JSON.parse(json);
  if (!Array.isArray(metrics)) throw new TypeError("metrics is not a list");
  return metrics.map(readMetric);
}
