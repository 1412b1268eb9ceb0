import { DAY } from "../exposures/buckets.ts";
import { failed, ok, type Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { EVENTS_TABLE, IS_VALID, MAX_VARIANT_BYTES } from "./event-sql.ts";
import { TOO_MANY_ROWS, type WarehouseFailure } from "./failure.ts";

/** A feature with recent exposures. Times are epoch milliseconds. */
export type FoundFeature = {
  environmentKey: string;
  featureName: string;
  /** The variants with the most identities, whose numbers are approximate. The largest is first. */
  variants: readonly { key: string; identities: number }[];
  firstExposureAt: number;
  lastExposureAt: number;
};

/** The features with the latest exposures. There are more if `isTruncated`. */
export type FoundFeatures = { features: readonly FoundFeature[]; isTruncated: boolean };

/** The time that discovery looks back. */
export const RECENT_MS = 30 * DAY;
export const MAX_FEATURES = 500;
export const MAX_LISTED_VARIANTS = 20;
/** The length of a feature's variants together, so that a whole answer stays small whatever the names are. */
const MAX_BYTES_OF_VARIANTS = 5_000;
/** The length of other names. Longer ones are left out. */
export const MAX_NAME_BYTES = 1_000;
/** Beyond this number in one thread, groups would take too much of the server's memory. */
export const MAX_GROUPS = 10_000;

const FEATURE = "environment_key, feature_name";

/** A condition: the event is a valid exposure of the period, in one environment or in all. */
const isExposure = (environmentKey: string | null) => `event = '$flag_exposure'
    AND ${environmentKey === null ? `length(environment_key) <= ${MAX_NAME_BYTES}` : "environment_key = {environment_key:String}"}
    AND feature_name != '' AND length(feature_name) <= ${MAX_NAME_BYTES}
    AND timestamp >= fromUnixTimestamp64Milli({from:Int64}) AND timestamp < fromUnixTimestamp64Milli({to:Int64})
    AND ${IS_VALID} AND length(value) <= ${MAX_VARIANT_BYTES}`;

/** A condition: the variant is one of the most frequent of the latest features. It takes another pass over the events. */
const isFrequent = (where: string) => `(${FEATURE}, value) GLOBAL IN (
      SELECT ${FEATURE}, arrayJoin(frequent) FROM (
        SELECT ${FEATURE}, topK(${MAX_LISTED_VARIANTS})(value) AS frequent
        FROM ${EVENTS_TABLE}
        WHERE ${where}
        GROUP BY ${FEATURE}
        ORDER BY max(timestamp) DESC
        LIMIT ${MAX_FEATURES + 1}
      )
    )`;

/** The SQL that finds features in one pass. A sketch of 3 KB counts the identities of a variant, with an error of 2 %. */
const featuresSql = (where: string) => `
SELECT
  ${FEATURE},
  arraySlice(arraySort(variant -> (-toInt64(variant.2), variant.1), groupArray((value, identities))), 1, ${MAX_LISTED_VARIANTS}) AS top,
  arrayFilter(
    (variant, bytes) -> bytes <= ${MAX_BYTES_OF_VARIANTS},
    top,
    arrayCumSum(variant -> length(variant.1), top)
  ) AS variants,
  arrayMap(variant -> variant.1, variants) AS variant_keys,
  arrayMap(variant -> variant.2, variants) AS variant_identities,
  min(first_at) AS first_exposure_at,
  max(last_at) AS last_exposure_at
FROM (
  SELECT
    ${FEATURE},
    value,
    uniqCombined(12)(identifier) AS identities,
    toUnixTimestamp64Milli(min(timestamp)) AS first_at,
    toUnixTimestamp64Milli(max(timestamp)) AS last_at
  FROM ${EVENTS_TABLE}
  WHERE ${where}
  GROUP BY ${FEATURE}, value
)
GROUP BY ${FEATURE}
ORDER BY last_exposure_at DESC, first_exposure_at DESC, ${FEATURE}
LIMIT ${MAX_FEATURES + 1}`;

/**
 * Finds the features with exposures in the 30 days before `now`, in one environment or in all (null). Where `value` has
 * too many different texts to group by, it counts only the most frequent ones.
 */
export async function discoverFeatures(
  warehouse: Warehouse,
  environmentKey: string | null,
  now: number,
): Promise<Result<FoundFeatures, WarehouseFailure>> {
  const scope = environmentKey === null ? {} : { environment_key: environmentKey };
  const parameters = { ...warehouse.table, ...scope, from: now - RECENT_MS, to: now };
  const settings = { max_rows_to_group_by: String(MAX_GROUPS) };
  const where = isExposure(environmentKey);

  let rows = await warehouse.select(featuresSql(where), parameters, settings);
  if (!rows.ok && rows.failure.code === TOO_MANY_ROWS) {
    const frequent = `${where}\n    AND ${isFrequent(where)}`;
    rows = await warehouse.select(featuresSql(frequent), parameters, { ...settings, group_by_overflow_mode: "any" });
  }
  if (!rows.ok) return rows;
  const features: FoundFeature[] = [];
  for (const row of rows.value) {
    const feature = readFeature(row);
    if (feature === null) return failed({ kind: "bad_rows" });
    features.push(feature);
  }
  return ok({ features: features.slice(0, MAX_FEATURES), isTruncated: features.length > MAX_FEATURES });
}

function readFeature(row: unknown): FoundFeature | null {
  if (typeof row !== "object" || row === null) return null;
  if (!("environment_key" in row && typeof row.environment_key === "string")) return null;
  if (!("feature_name" in row && typeof row.feature_name === "string")) return null;
  if (!("variant_keys" in row && Array.isArray(row.variant_keys))) return null;
  if (!("variant_identities" in row && Array.isArray(row.variant_identities))) return null;
  if (!("first_exposure_at" in row && isInteger(row.first_exposure_at))) return null;
  if (!("last_exposure_at" in row && isInteger(row.last_exposure_at))) return null;
  const variants: { key: string; identities: number }[] = [];
  for (const [index, key] of row.variant_keys.entries()) {
    const identities: unknown = row.variant_identities[index];
    if (typeof key !== "string" || !isInteger(identities)) return null;
    variants.push({ key, identities });
  }
  return {
    environmentKey: row.environment_key,
    featureName: row.feature_name,
    variants,
    firstExposureAt: row.first_exposure_at,
    lastExposureAt: row.last_exposure_at,
  };
}

export function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
