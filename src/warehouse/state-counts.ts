import * as z from "zod";
import type { CountedExposures } from "../exposures/summary.ts";
import type { Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { EVENTS_TABLE, IN_WINDOW, IS_VALID, SELECT_LATEST } from "./event-sql.ts";
import { readCounts } from "./exposure-rows.ts";
import { countFrom, type ExposureQuestion, parametersOf, type Source, type VariantHash } from "./exposure-query.ts";
import { adviceFor, type WarehouseFailure } from "./failure.ts";

// Counting from what migrations/clickhouse/0002 to 0008 keep: for each identity of a window when it first saw which
// variant, and whether there are events that are nobody's.

const selectNames = (variantHash: VariantHash) => `
SELECT 'variant' AS kind, toString(variant) AS name, toString(${variantHash}(variant)) AS variant_hash, 0 AS at,
  0 AS identities, 0 AS late, 0 AS events
FROM {database:Identifier}.exposure_firsts
WHERE window = {window:String}
GROUP BY variant`;

/** Seldom there is an event that is nobody's. Only then the events are counted at all. */
const SELECT_INVALID = `
SELECT if(${IS_VALID}, 'valid', 'invalid') AS kind, '' AS name, '0' AS variant_hash, 0 AS at,
  0 AS identities, 0 AS late, count() AS events
FROM ${EVENTS_TABLE}
WHERE ${IN_WINDOW}
  AND 0 < (SELECT count() FROM {database:Identifier}.exposure_invalids WHERE window = {window:String})
GROUP BY kind`;

const REST = [SELECT_LATEST, SELECT_INVALID];

/** Exact for any window's end, though later events are in it: each variant's first exposure is there. */
const FIRSTS: Source = {
  from: "{database:Identifier}.exposure_firsts",
  where: "window = {window:String} AND first_and_late < 2 * {to:Int64}",
  identity: ["identity", "identity_check"],
  variant: "variant",
  firstAndLate: "first_and_late",
  events: "0",
  names: selectNames,
  rest: REST,
};

// A window that is merged into one part has one row for an identity, so that a scan tells what else takes a GROUP BY of
// all; any other gives no row here. FINAL costs nothing then, and keeps it right if a part is added meanwhile. Whoever
// saw several variants may have seen only one of them before the window's end: what became of them is left open.
const SELECT_MERGED = [
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
  WHERE window = {window:String} AND first_and_late < 2 * {to:Int64} AND 1 = (
    SELECT uniqExact(_part_index) FROM {database:Identifier}.exposure_identities WHERE window = {window:String}
  )
)
GROUP BY row_kind, hash, index`,
  selectNames("cityHash64"),
  ...REST,
].join("\nUNION ALL\n");

const isCounted = z.object({ kind: z.enum(["identities", "multiple"]) });
const isLeftOpen = z.object({ kind: z.literal("open") });

/** What a filled window knows, as `countExposures` would find it. */
export async function countStates(
  warehouse: Warehouse,
  stateWindow: string,
  question: ExposureQuestion,
): Promise<Result<CountedExposures, WarehouseFailure>> {
  const parameters = { ...parametersOf(warehouse, question), window: stateWindow };
  const rows = await warehouse.select(SELECT_MERGED, parameters);
  if (!rows.ok) return rows;
  const isMerged = rows.value.some((row) => isCounted.safeParse(row).success);
  const isSure = !rows.value.some((row) => isLeftOpen.safeParse(row).success);
  const counted = isMerged && isSure ? readCounts(rows.value, question.window) : null;
  // Nor does a scan tell two variants of one hash apart, or know a variant that came a moment ago: the full count does.
  return counted === null || counted === "collision" || !counted.ok
    ? countFrom(warehouse, FIRSTS, parameters, question.window)
    : counted;
}

/** What the operator should do about states that do not work, where it is not the same as for events. */
export function adviceForStates(failure: WarehouseFailure): string {
  switch (failure.kind) {
    case "missing_table":
      return "EXPOSURE_SOURCE is states, but the states are not there: run migrations/clickhouse/0002 to 0008";
    case "credentials":
    case "settings_refused":
      return "for states the user needs SELECT, INSERT and ALTER DELETE on the exposure_ tables, and no readonly: see the README";
    default:
      return adviceFor(failure);
  }
}
