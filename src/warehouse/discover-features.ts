import { DAY } from "../exposures/buckets.ts";
import { failed, ok, type Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { EVENTS_TABLE, IS_VALID, MAX_VARIANT_BYTES } from "./event-sql.ts";
import type { WarehouseFailure } from "./failure.ts";

/** A feature with exposures in the last 30 days. Times are epoch milliseconds. */
export type FoundFeature = {
  environmentKey: string;
  featureName: string;
  /** The most frequent variants, with their approximate number of identities; the largest first. */
  variants: readonly { key: string; identities: number }[];
  firstExposureAt: number;
  lastExposureAt: number;
};

/** The newest features. There are more if `isTruncated`. */
export type FoundFeatures = { features: readonly FoundFeature[]; isTruncated: boolean };

export const DISCOVERY_MS = 30 * DAY;
export const MAX_FEATURES = 500;
const MAX_VARIANTS = 20;

const FEATURE = "environment_key, feature_name";

const recentExposures = (environmentKey: string | null) => `
      ${environmentKey === null ? "environment_key != ''" : "environment_key = {environment_key:String}"}
      AND event = '$flag_exposure'
      AND feature_name != ''
      AND timestamp >= fromUnixTimestamp64Milli({from:Int64})
      AND timestamp < fromUnixTimestamp64Milli({to:Int64})
      AND ${IS_VALID}
      AND length(value) <= ${MAX_VARIANT_BYTES}`;

const featuresSql = (exposures: string) => `
SELECT
  environment_key,
  feature_name,
  groupArray((value, identities)) AS variants,
  min(first_at) AS first_exposure_at,
  max(last_at) AS last_exposure_at
FROM (
  SELECT
    ${FEATURE},
    value,
    uniqCombined(14)(identifier) AS identities,
    min(toUnixTimestamp64Milli(timestamp)) AS first_at,
    max(toUnixTimestamp64Milli(timestamp)) AS last_at
  FROM ${EVENTS_TABLE}
  WHERE ${exposures}
    AND (${FEATURE}, value) GLOBAL IN (
      SELECT ${FEATURE}, arrayJoin(frequent)
      FROM (
        SELECT ${FEATURE}, topK(${MAX_VARIANTS})(value) AS frequent
        FROM ${EVENTS_TABLE}
        WHERE ${exposures}
        GROUP BY ${FEATURE}
        ORDER BY max(timestamp) DESC
        LIMIT ${MAX_FEATURES + 1}
      )
    )
  GROUP BY ${FEATURE}, value
  ORDER BY identities DESC, value
)
GROUP BY ${FEATURE}
ORDER BY last_exposure_at DESC, first_exposure_at DESC, ${FEATURE}`;

/** Finds the features with exposures in the 30 days before `now`, in one environment or in all (null). */
export async function discoverFeatures(
  warehouse: Warehouse,
  environmentKey: string | null,
  now: number,
): Promise<Result<FoundFeatures, WarehouseFailure>> {
  const parameters = {
    ...warehouse.table,
    ...(environmentKey === null ? {} : { environment_key: environmentKey }),
    from: now - DISCOVERY_MS,
    to: now,
  };
  const rows = await warehouse.select(featuresSql(recentExposures(environmentKey)), parameters);
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
  if (!("first_exposure_at" in row && isTime(row.first_exposure_at))) return null;
  if (!("last_exposure_at" in row && isTime(row.last_exposure_at))) return null;
  if (!("variants" in row && Array.isArray(row.variants))) return null;
  const variants: { key: string; identities: number }[] = [];
  for (const variant of row.variants) {
    const [key, identities]: unknown[] = Array.isArray(variant) ? variant : [];
    if (typeof key !== "string" || !isTime(identities)) return null;
    variants.push({ key, identities });
  }
  const { environment_key: environmentKey, feature_name: featureName } = row;
  const { first_exposure_at: firstExposureAt, last_exposure_at: lastExposureAt } = row;
  return { environmentKey, featureName, variants, firstExposureAt, lastExposureAt };
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
