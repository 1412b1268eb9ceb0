import { statusAt } from "../experiment.ts";
import { type CheckStatus, checkStatuses } from "../exposures/health.ts";
import { property } from "../exposures/json.ts";
import type { Comparison } from "../results/compare.ts";
import { computeResults, type MetricResult, type Results } from "../results/compute-results.ts";
import type { VariantFigures } from "../results/metric-figures.ts";
import { metricJson } from "../results/metric-json.ts";
import { parseCounts } from "../results/stored-counts.ts";
import type { StoredSummary } from "../store/summaries.ts";
import { isoTimeOrNull } from "./responses.ts";

/** An experiment's results as they are read: computed from the stored counts and the current definition. */
export type ReadResults = {
  asOf: number | null;
  computedAt: number | null;
  /** The newest failure of a refresh, of its results alone or of all of it. */
  lastErrorAt: number | null;
  isFinal: boolean;
  results: Results | null;
};

/** Computes the results from the stored counts. Without any, the results and their times are null. */
export function readResults(summary: StoredSummary): ReadResults {
  const stored = summary.results;
  const results = stored && computeResults(parseCounts(stored.counted), summary.experiment);
  const errors = [summary.lastErrorAt, stored?.lastErrorAt ?? null].filter((time) => time !== null);
  const lastErrorAt = errors.length === 0 ? null : Math.max(...errors);
  if (stored === null || results === null)
    return { asOf: null, computedAt: null, lastErrorAt, isFinal: false, results: null };
  const { asOf, computedAt } = stored;
  const isComplete = results.metrics.length === summary.experiment.metrics.length;
  return { asOf, computedAt, lastErrorAt, isFinal: summary.isFinal && asOf === summary.asOf && isComplete, results };
}

/**
 * The body of a results response. Objects by variant are written by hand, because an object literal would reorder keys
 * like `2` and lose `__proto__`.
 */
export function resultsJson(summary: StoredSummary, now: number): string {
  const { results, ...read } = readResults(summary);
  const head = JSON.stringify({
    experiment_id: summary.experiment.id,
    status: statusAt(summary.experiment, now),
    as_of: isoTimeOrNull(read.asOf),
    computed_at: isoTimeOrNull(read.computedAt),
    last_error_at: isoTimeOrNull(read.lastErrorAt),
    refresh_requested_at: isoTimeOrNull(summary.refreshRequestedAt),
    is_final: read.isFinal,
  });
  return `${head.slice(0, -1)},"results":${results === null ? "null" : resultsObject(results, summary.exposures)}}`;
}

function resultsObject({ control, metrics }: Results, exposures: string | null): string {
  const head = JSON.stringify({ control, health: exposures === null ? null : healthOf(exposures) });
  return `${head.slice(0, -1)},"metrics":[${metrics.map(metricText).join()}]}`;
}

/** The worst status of the checks of the exposures. */
function healthOf(exposures: string): CheckStatus | null {
  const status = property(property(JSON.parse(exposures), "health"), "status");
  return checkStatuses.find((each) => each === status) ?? null;
}

function metricText({ metric, invalidValues, variants, comparisons }: MetricResult): string {
  const { key, name, event, aggregation, expected_direction } = metricJson(metric);
  const head = JSON.stringify({ key, name, event, aggregation, expected_direction, invalid_values: invalidValues });
  const byVariant = <Value>(values: ReadonlyMap<string, Value>, toJson: (value: Value) => object) =>
    `{${[...values].map(([variant, value]) => `${JSON.stringify(variant)}:${JSON.stringify(toJson(value))}`).join()}}`;
  return (
    `${head.slice(0, -1)},"variants":${byVariant(variants, figuresJson)},` +
    `"comparisons":${byVariant(comparisons, comparisonJson)}}`
  );
}

function figuresJson({ identities, sum, mean, standardDeviation }: VariantFigures) {
  return { identities, sum, mean, standard_deviation: standardDeviation };
}

function comparisonJson(comparison: Comparison) {
  return {
    lift: comparison.lift,
    interval: comparison.interval,
    p_value: comparison.pValue,
    credible_interval: comparison.credibleInterval,
    chance_to_win: comparison.chanceToWin,
    variance_reduction: comparison.varianceReduction,
    verdict: comparison.verdict,
  };
}
