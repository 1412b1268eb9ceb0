import type { Metric } from "../experiment.ts";
import { failed, ok, type Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { countExposures, selectOrSpill } from "./count-exposures.ts";
import { describeExposureQuery, type ExposureQuery, exposureParameters, VARIANT_HASHES } from "./exposure-query.ts";
import type { WarehouseFailure } from "./failure.ts";
import { type MetricPlan, metricParameters, planMetrics } from "./metric-plan.ts";
import { metricSql } from "./metric-query.ts";
import { type CountedMetrics, readMetrics } from "./metric-rows.ts";

const SETTINGS = {
  // Older servers parse faster by default, and err in the last digits.
  precise_float_parsing: "1",
  // NaN and infinity are returned as null.
  output_format_json_quote_denormals: "0",
};

/**
 * Counts exposures and metrics of one experiment in one query, as of the same moment. Without metrics, it is the exposures
 * query. Every row is checked as there.
 */
export async function countMetrics(
  warehouse: Warehouse,
  query: ExposureQuery,
  metrics: readonly Metric[],
): Promise<Result<CountedMetrics, WarehouseFailure>> {
  if (metrics.length === 0) {
    const exposures = await countExposures(warehouse, query);
    return exposures.ok ? ok({ exposures: exposures.value, metrics: [] }) : exposures;
  }
  const plan = planMetrics(metrics);
  const parameters = parametersOf(warehouse.table, query, plan);
  for (const variantHash of VARIANT_HASHES) {
    const rows = await selectOrSpill(warehouse, metricSql(plan, variantHash), parameters, SETTINGS);
    if (!rows.ok) return rows;
    const counted = readMetrics(rows.value, metrics, query.window);
    if (counted !== "collision") return counted;
  }
  return failed({ kind: "bad_rows" });
}

function parametersOf(table: Warehouse["table"], query: ExposureQuery, plan: MetricPlan) {
  return { ...exposureParameters(table, query), ...metricParameters(plan, query.window.from) };
}

/** The SQL that `countMetrics` runs, and the values of its parameters, to show to people. */
export function describeCountQuery(table: Warehouse["table"], query: ExposureQuery, metrics: readonly Metric[]) {
  if (metrics.length === 0) return describeExposureQuery(table, query);
  const plan = planMetrics(metrics);
  return { sql: metricSql(plan, VARIANT_HASHES[0]).trim(), parameters: parametersOf(table, query, plan) };
}
