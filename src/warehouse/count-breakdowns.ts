import type { Breakdowns } from "../exposures/breakdown.ts";
import type { Result } from "../result.ts";
import { type BreakdownQuery, breakdownParameters, breakdownSql } from "./breakdown-query.ts";
import { readBreakdowns } from "./breakdown-rows.ts";
import type { Warehouse } from "./client.ts";
import { selectOrSpill } from "./count-exposures.ts";
import type { WarehouseFailure } from "./failure.ts";

/**
 * Counts the identities of one experiment by their values at the first exposure. Every row is checked, as those of the
 * exposures query are.
 */
export async function countBreakdowns(
  warehouse: Warehouse,
  query: BreakdownQuery,
): Promise<Result<Breakdowns, WarehouseFailure>> {
  const rows = await selectOrSpill(warehouse, breakdownSql(query), breakdownParameters(warehouse.table, query));
  return rows.ok ? readBreakdowns(rows.value, query) : rows;
}
