import type { Window } from "../exposures/buckets.ts";
import type { CountedExposures } from "../exposures/summary.ts";
import { failed, type Result } from "../result.ts";
import type { QueryParameters, QuerySettings, Warehouse } from "./client.ts";
import {
  EVENTS,
  type ExposureQuery,
  type ExposureSource,
  exposureParameters,
  exposureSql,
  VARIANT_HASHES,
} from "./exposure-query.ts";
import { readCounts } from "./exposure-rows.ts";
import { MEMORY_LIMIT_EXCEEDED, type WarehouseFailure } from "./failure.ts";

/** The size from which a GROUP BY or a join is spilled to the server's disk, in bytes. */
const SPILL_FROM_BYTES = String(100_000_000);

const SPILLING = {
  max_bytes_before_external_group_by: SPILL_FROM_BYTES,
  join_algorithm: "grace_hash",
  max_bytes_in_join: SPILL_FROM_BYTES,
};

/**
 * Counts the identities of one experiment by their first exposure. Every row is checked: a wrong shape, a negative or
 * unsafe number, or a bucket outside the window fails the whole query.
 */
export function countExposures(
  warehouse: Warehouse,
  query: ExposureQuery,
): Promise<Result<CountedExposures, WarehouseFailure>> {
  return countFrom(warehouse, EVENTS, exposureParameters(warehouse.table, query), query.window);
}

/** Counts from any source. `parameters` holds every parameter that its SQL names. */
export async function countFrom(
  warehouse: Warehouse,
  source: ExposureSource,
  parameters: QueryParameters,
  window: Window,
): Promise<Result<CountedExposures, WarehouseFailure>> {
  for (const variantHash of VARIANT_HASHES) {
    const rows = await selectOrSpill(warehouse, exposureSql(source, variantHash), parameters);
    if (!rows.ok) return rows;
    const counted = readCounts(rows.value, window);
    if (counted !== "collision") return counted;
  }
  return failed({ kind: "bad_rows" });
}

/** Runs a SELECT, and repeats it with groups and joins on the server's disk if it runs out of memory. */
export async function selectOrSpill(
  warehouse: Warehouse,
  sql: string,
  parameters: QueryParameters,
  settings?: QuerySettings,
): Promise<Result<unknown[], WarehouseFailure>> {
  const answer = await warehouse.select(sql, parameters, settings);
  if (answer.ok || answer.failure.code !== MEMORY_LIMIT_EXCEEDED) return answer;
  return warehouse.select(sql, parameters, { ...settings, ...SPILLING });
}
