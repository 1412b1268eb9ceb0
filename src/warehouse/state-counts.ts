import type { CountedExposures } from "../exposures/summary.ts";
import type { Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { countFrom } from "./count-exposures.ts";
import { EVENTS_TABLE, IN_WINDOW, IS_VALID, MAX_VARIANT_BYTES, SELECT_LATEST } from "./event-sql.ts";
import { type ExposureQuery, type ExposureSource, exposureParameters, type VariantHash } from "./exposure-query.ts";
import { readCounts } from "./exposure-rows.ts";
import type { WarehouseFailure } from "./failure.ts";

// Counts from the tables of migrations/clickhouse/0002 to 0012. For each identity of a window they hold when it first saw
// which variant, and for the window whether it has invalid events.

/** Fails at a variant that is too long. */
const selectNames = (variantHash: VariantHash) => `
SELECT 'variant' AS kind, toString(variant) AS name, toString(${variantHash}(variant)) AS variant_hash, 0 AS at,
  0 AS identities, 0 AS late, toUInt64(throwIf(length(variant) > ${MAX_VARIANT_BYTES})) AS events
FROM {database:Identifier}.exposure_firsts
WHERE window = {window:String}
GROUP BY variant`;

/** Invalid events are rare, so the events are read only if there are any. */
const SELECT_INVALID = `
SELECT if(${IS_VALID}, 'valid', 'invalid') AS kind, '' AS name, '0' AS variant_hash, 0 AS at,
  0 AS identities, 0 AS late, count() AS events
FROM ${EVENTS_TABLE}
WHERE ${IN_WINDOW}
  AND 0 < (SELECT count() FROM {database:Identifier}.exposure_invalids WHERE window = {window:String})
GROUP BY kind`;

const REST = [SELECT_LATEST, SELECT_INVALID];

/** Exact for any end of the window, although later events are included: the first exposure of each variant is stored. */
const FIRSTS: ExposureSource = {
  from: "{database:Identifier}.exposure_firsts",
  where: "window = {window:String} AND first_and_late < 2 * {to:Int64}",
  identity: ["identity", "identity_check"],
  variant: "variant",
  firstAndLate: "first_and_late",
  events: "0",
  names: selectNames,
  rest: REST,
};

// Fast path: FINAL leaves one row per identity, so that a scan replaces the GROUP BY. It merges the parts of the window as
// they are read, which is fast while few of them are large. An identity with several variants may have seen only one of
// them before the window's end: such rows are returned as 'open'.
const SELECT_SCANNED = [
  `
SELECT
  arrayElement(['identities', 'multiple', 'open'], row_kind) AS kind,
  '' AS name,
  toString(hash) AS variant_hash,
  index * {bucket_size:Int64} AS at,
  count() AS identities,
  sum(bitAnd(first_and_late, 1)) AS late,
  0 AS events
FROM (
  SELECT
    multiIf(variant_and = variant_or, 1, last_first < 2 * {to:Int64}, 2, 3) AS row_kind,
    if(row_kind = 1, variant_and, 0) AS hash,
    if(row_kind = 1, intDiv(first_and_late, 2 * {bucket_size:Int64}), 0) AS index,
    first_and_late
  FROM {database:Identifier}.exposure_identities FINAL
  WHERE window = {window:String} AND first_and_late < 2 * {to:Int64}
)
GROUP BY row_kind, hash, index`,
  selectNames("cityHash64"),
  ...REST,
].join("\nUNION ALL\n");

/** Counts the identities of a filled window, with the same result as `countExposures`. */
export async function countStates(
  warehouse: Warehouse,
  stateWindow: string,
  query: ExposureQuery,
): Promise<Result<CountedExposures, WarehouseFailure>> {
  const parameters = { ...exposureParameters(warehouse.table, query), window: stateWindow };
  const rows = await warehouse.select(SELECT_SCANNED, parameters);
  if (!rows.ok) return rows;
  const counted = readCounts(rows.value, query.window);
  if (counted !== "collision" && counted.ok) return counted;
  // The scan can't count open rows, resolve a hash collision, or name a variant that has just arrived. The full count can.
  return countFrom(warehouse, FIRSTS, parameters, query.window);
}
