import { bucketsOf, type Window } from "../exposures/buckets.ts";
import type { ExposureCount } from "../exposures/summary.ts";
import { failed, ok, type Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import type { WarehouseFailure } from "./failure.ts";

export type ExposureQuestion = { environmentKey: string; featureName: string; window: Window };

/**
 * One row for each bucket and variant that somebody was first exposed in, and one for all who saw several variants.
 *
 * The smallest and the largest value of an identity differ exactly if it saw more than one, and neither they nor the
 * earliest timestamp care for order, duplicates or lateness. All arithmetic is on epoch milliseconds: DateTime64
 * without a zone holds those, so that the server's time zone never shows.
 */
const SQL = `
SELECT
  multiple,
  if(multiple, '', variant) AS variant_key,
  if(multiple, 0, intDiv(first_exposure, {bucket_size:Int64}) * {bucket_size:Int64}) AS bucket,
  count() AS identities
FROM (
  SELECT
    min(value) AS variant,
    min(value) != max(value) AS multiple,
    toUnixTimestamp64Milli(min(timestamp)) AS first_exposure
  FROM {database:Identifier}.{table:Identifier}
  WHERE environment_key = {environment_key:String}
    AND event = '$flag_exposure'
    AND feature_name = {feature_name:String}
    AND timestamp >= fromUnixTimestamp64Milli({from:Int64})
    AND timestamp < fromUnixTimestamp64Milli({to:Int64})
    AND identifier != ''
    AND value != ''
  GROUP BY identifier
)
GROUP BY multiple, variant_key, bucket`;

type Row = { multiple: 0 | 1; variant_key: string; bucket: number; identities: number };

/**
 * Counts the identities of one experiment by their first exposure. Believes no row that is not a count: a wrong
 * shape, a negative or unsafe number, or a bucket outside the window fails the whole answer.
 */
export async function countExposures(
  warehouse: Warehouse,
  { environmentKey, featureName, window }: ExposureQuestion,
): Promise<Result<ExposureCount[], WarehouseFailure>> {
  const buckets = bucketsOf(window);
  const answer = await warehouse.select(SQL, {
    ...warehouse.table,
    environment_key: environmentKey,
    feature_name: featureName,
    from: window.from,
    to: window.to,
    bucket_size: buckets.size,
  });
  if (!answer.ok) return answer;

  const end = buckets.first + buckets.count * buckets.size;
  const counts: ExposureCount[] = [];
  for (const row of answer.value) {
    if (!isRow(row)) return failed({ kind: "bad_rows" });
    if (row.multiple === 1) {
      counts.push({ multiple: true, identities: row.identities });
      continue;
    }
    const inWindow = row.bucket >= buckets.first && row.bucket < end && row.bucket % buckets.size === 0;
    if (!inWindow || row.variant_key === "") return failed({ kind: "bad_rows" });
    counts.push({ multiple: false, variant: row.variant_key, bucket: row.bucket, identities: row.identities });
  }
  return ok(counts);
}

function isRow(row: unknown): row is Row {
  return (
    typeof row === "object" &&
    row !== null &&
    "multiple" in row &&
    (row.multiple === 0 || row.multiple === 1) &&
    "variant_key" in row &&
    typeof row.variant_key === "string" &&
    "bucket" in row &&
    Number.isSafeInteger(row.bucket) &&
    "identities" in row &&
    typeof row.identities === "number" &&
    Number.isSafeInteger(row.identities) &&
    row.identities > 0
  );
}
