import type { Results } from "../results/compute-results.ts";
import { cell } from "./csv.ts";

export const RESULTS_HEADER = [
  ...["metric", "variant", "identities", "sum", "mean", "standard_deviation", "invalid_values", "lift"],
  ...["interval_low", "interval_high", "p_value", "credible_low", "credible_high", "chance_to_win"],
  ...["variance_reduction", "verdict"],
];

/**
 * Writes results as RFC 4180 CSV: one row per metric and variant, with empty cells where a figure does not exist. The
 * control has no comparison. Without results, only the header.
 */
export function writeResultsCsv(results: Results | null): string {
  const rows: (readonly (string | number | null)[])[] = [RESULTS_HEADER];
  for (const { metric, invalidValues, variants, comparisons } of results?.metrics ?? [])
    for (const [variant, { identities, sum, mean, standardDeviation }] of variants) {
      const comparison = comparisons.get(variant);
      const [low, high] = comparison?.interval ?? [null, null];
      const [credibleLow, credibleHigh] = comparison?.credibleInterval ?? [null, null];
      rows.push([
        ...[cell(metric.key), cell(variant), identities, sum, mean, standardDeviation, invalidValues],
        ...[comparison?.lift ?? null, low, high, comparison?.pValue ?? null, credibleLow, credibleHigh],
        ...[comparison?.chanceToWin ?? null, comparison?.varianceReduction ?? null, comparison?.verdict ?? null],
      ]);
    }
  const isMissing = (value: string | number | null) => value === null || Number.isNaN(value);
  return rows.map((row) => `${row.map((value) => (isMissing(value) ? "" : value)).join()}\r\n`).join("");
}
