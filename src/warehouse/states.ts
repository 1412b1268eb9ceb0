import * as z from "zod";
import { bucketsOf } from "../exposures/buckets.ts";
import type { ExposureCount } from "../exposures/summary.ts";
import type { Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { countFrom, countsOf, type ExposureQuestion, type Source, type VariantHash } from "./exposures.ts";
import { adviceFor, type WarehouseFailure } from "./failure.ts";

// Counting from what migrations/clickhouse/0002 to 0006 keep: for each identity of a window when it first saw which
// variant.

const selectNames = (variantHash: VariantHash) => `
SELECT toString(variant) AS name, 0 AS multiple, toString(${variantHash}(variant)) AS variant_hash, 0 AS bucket,
  count() AS identities
FROM {database:Identifier}.exposure_firsts
WHERE window = {window:String}
GROUP BY variant`;

/** Exact for any window's end, though later events are in it: each variant's first exposure is there. */
const FIRSTS: Source = {
  from: "{database:Identifier}.exposure_firsts",
  identity: "identity, identity_check",
  variant: "variant",
  at: "first_exposure",
  where: "window = {window:String} AND first_exposure < fromUnixTimestamp64Milli({to:Int64})",
  names: selectNames,
};

// A window that is merged into one part has one row for an identity, so that a scan tells what else takes a GROUP BY of
// all; any other gives no row here. FINAL costs nothing then, and keeps it right if a part is added meanwhile. Whoever
// saw several variants may have seen only one of them before the window's end: what became of them is left open (2).
const SELECT_MERGED = `
SELECT
  '' AS name,
  several AS multiple,
  toString(hash) AS variant_hash,
  index * {bucket_size:Int64} AS bucket,
  count() AS identities
FROM (
  SELECT
    multiIf(variant_and = variant_or, 0, last_first < fromUnixTimestamp64Milli({to:Int64}), 1, 2) AS several,
    if(several = 0, variant_and, 0) AS hash,
    if(several = 0, intDiv(toUnixTimestamp64Milli(first_exposure), {bucket_size:Int64}), 0) AS index
  FROM {database:Identifier}.exposure_identities FINAL
  WHERE window = {window:String} AND first_exposure < fromUnixTimestamp64Milli({to:Int64}) AND 1 = (
    SELECT uniqExact(_part_index) FROM {database:Identifier}.exposure_identities WHERE window = {window:String}
  )
)
GROUP BY several, hash, index
UNION ALL ${selectNames("cityHash64")}`;

const isCounted = z.object({ name: z.literal(""), multiple: z.union([z.literal(0), z.literal(1)]) });
const isLeftOpen = z.object({ multiple: z.literal(2) });

/** The counts of a filled window, as `countExposures` would find them. */
export async function countStates(
  warehouse: Warehouse,
  stateWindow: string,
  { window }: ExposureQuestion,
): Promise<Result<ExposureCount[], WarehouseFailure>> {
  const parameters = { database: warehouse.table.database, window: stateWindow, to: window.to };
  const rows = await warehouse.select(SELECT_MERGED, { ...parameters, bucket_size: bucketsOf(window).size });
  if (!rows.ok) return rows;
  const isMerged = rows.value.some((row) => isCounted.safeParse(row).success);
  const isSure = !rows.value.some((row) => isLeftOpen.safeParse(row).success);
  const counts = isMerged && isSure ? countsOf(rows.value, window) : null;
  // Nor does a scan tell two variants of one hash apart, or know a variant that came a moment ago: the full count does.
  return counts === null || counts === "collision" || !counts.ok
    ? countFrom(warehouse, FIRSTS, parameters, window)
    : counts;
}

/** What the operator should do about states that do not work, where it is not the same as for events. */
export function adviceForStates(failure: WarehouseFailure): string {
  switch (failure.kind) {
    case "missing_table":
      return "EXPOSURE_SOURCE is states, but the states are not there: run migrations/clickhouse/0002 to 0006";
    case "credentials":
    case "settings_refused":
      return "for states the user needs SELECT, INSERT and ALTER DELETE on the exposure_ tables, and no readonly: see the README";
    default:
      return adviceFor(failure);
  }
}
