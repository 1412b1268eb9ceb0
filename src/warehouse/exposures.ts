import { bucketsOf, type Window } from "../exposures/buckets.ts";
import type { ExposureCount } from "../exposures/summary.ts";
import { failed, ok, type Result } from "../result.ts";
import type { QueryParameters, Warehouse } from "./client.ts";
import { MEMORY_LIMIT_EXCEEDED, type WarehouseFailure } from "./failure.ts";

export type ExposureQuestion = { environmentKey: string; featureName: string; window: Window };

/** Where exposures are read from, in SQL: the columns by what they mean, and the condition on the experiment's rows. */
export type Source = {
  from: string;
  identity: string;
  variant: string;
  at: string;
  where: string;
  /** The variants' names, where a look of its own costs less than naming them in the same pass. */
  names?: (variantHash: VariantHash) => string;
};

const EVENTS: Source = {
  from: "{database:Identifier}.{table:Identifier}",
  // Two hash functions that have nothing in common, because one 128-bit function takes longer than both.
  identity: "cityHash64(identifier), xxh3(identifier)",
  variant: "value",
  at: "timestamp",
  where: `environment_key = {environment_key:String}
    AND event = '$flag_exposure'
    AND feature_name = {feature_name:String}
    AND timestamp >= fromUnixTimestamp64Milli({from:Int64})
    AND timestamp < fromUnixTimestamp64Milli({to:Int64})
    AND identifier != ''
    AND value != ''`,
};

/**
 * One row for each bucket and variant that somebody was first exposed in, one for all who saw several variants, and one
 * for each variant with its name, from one pass over the exposures.
 *
 * What is kept of an identity has a fixed size, whatever its events: hashes of 128 bits for itself and of 64 for its
 * variant. The AND and the OR of its variants' hashes differ exactly if it saw more than one, and neither they nor the
 * earliest timestamp care for order, duplicates or lateness. That two of n identities share both hashes has a chance of
 * n² / 2^129, 1.5e-23 for 100 million; two variants with one hash show as one hash with two names.
 *
 * All arithmetic is on epoch milliseconds: DateTime64 without a zone holds those, so that the server's time zone never
 * shows. Hashes travel as text, since JSON's numbers end at 2^53.
 */
const sql = ({ from, identity, variant, at, where, names }: Source, variantHash: VariantHash) => `
SELECT
  name,
  multiple,
  toString(hash) AS variant_hash,
  index * {bucket_size:Int64} AS bucket,
  count() AS identities
FROM (
  SELECT
    ${names === undefined ? variant : "''"} AS name,
    groupBitAnd(${variantHash}(${variant})) AS variant_and,
    variant_and != groupBitOr(${variantHash}(${variant})) AS multiple,
    toUnixTimestamp64Milli(min(${at})) AS first_at
  FROM ${from}
  WHERE ${where}
  GROUP BY ${names === undefined ? `GROUPING SETS ((${identity}), (${variant}))` : identity}
)
GROUP BY
  name,
  multiple,
  if(multiple, 0, variant_and) AS hash,
  if(multiple OR name != '', 0, intDiv(first_at, {bucket_size:Int64})) AS index
${names === undefined ? "" : `UNION ALL ${names(variantHash)}`}`;

/** The first is the faster one; the second answers when two names collide in the first, as names can be made to. */
const VARIANT_HASHES = ["cityHash64", "sipHash64"] as const;
export type VariantHash = (typeof VARIANT_HASHES)[number];

/** From so many bytes on, a second try spills to the server's disk what the first found no memory for. */
const SPILL_FROM_BYTES = 100_000_000;

type Row = { name: string; multiple: 0 | 1; variant_hash: string; bucket: number; identities: number };

/**
 * Counts the identities of one experiment by their first exposure. Believes no row that is not a count: a wrong
 * shape, a negative or unsafe number, or a bucket outside the window fails the whole answer.
 */
export function countExposures(
  warehouse: Warehouse,
  { environmentKey, featureName, window }: ExposureQuestion,
): Promise<Result<ExposureCount[], WarehouseFailure>> {
  const parameters = {
    ...warehouse.table,
    environment_key: environmentKey,
    feature_name: featureName,
    from: window.from,
    to: window.to,
  };
  return countFrom(warehouse, EVENTS, parameters, window);
}

/** The same from any source, with the parameters that its condition names. */
export async function countFrom(
  warehouse: Warehouse,
  source: Source,
  parameters: QueryParameters,
  window: Window,
): Promise<Result<ExposureCount[], WarehouseFailure>> {
  for (const variantHash of VARIANT_HASHES) {
    const rows = await selectOrSpill(warehouse, sql(source, variantHash), {
      ...parameters,
      bucket_size: bucketsOf(window).size,
    });
    if (!rows.ok) return rows;
    const counts = countsOf(rows.value, window);
    if (counts !== "collision") return counts;
  }
  return failed({ kind: "bad_rows" });
}

async function selectOrSpill(
  warehouse: Warehouse,
  query: string,
  parameters: QueryParameters,
): Promise<Result<unknown[], WarehouseFailure>> {
  const answer = await warehouse.select(query, parameters);
  if (answer.ok || answer.failure.code !== MEMORY_LIMIT_EXCEEDED) return answer;
  return warehouse.select(query, parameters, { max_bytes_before_external_group_by: String(SPILL_FROM_BYTES) });
}

/** Of rows as the query gives them; a collision if one hash has two names. */
export function countsOf(
  rows: readonly unknown[],
  window: Window,
): Result<ExposureCount[], WarehouseFailure> | "collision" {
  const checked: Row[] = [];
  const names = new Map<string, string>();
  for (const row of rows) {
    if (!isRow(row)) return failed({ kind: "bad_rows" });
    checked.push(row);
    if (row.name === "") continue;
    if (names.has(row.variant_hash)) return "collision";
    names.set(row.variant_hash, row.name);
  }

  const buckets = bucketsOf(window);
  const end = buckets.first + buckets.count * buckets.size;
  const counts: ExposureCount[] = [];
  for (const { name, multiple, variant_hash, bucket, identities } of checked) {
    if (name !== "") continue;
    if (multiple === 1) {
      counts.push({ multiple: true, identities });
      continue;
    }
    const variant = names.get(variant_hash);
    const inWindow = bucket >= buckets.first && bucket < end && bucket % buckets.size === 0;
    if (!inWindow || variant === undefined) return failed({ kind: "bad_rows" });
    counts.push({ multiple: false, variant, bucket, identities });
  }
  return ok(counts);
}

function isRow(row: unknown): row is Row {
  return (
    typeof row === "object" &&
    row !== null &&
    "name" in row &&
    typeof row.name === "string" &&
    "multiple" in row &&
    (row.multiple === 0 || row.multiple === 1) &&
    "variant_hash" in row &&
    typeof row.variant_hash === "string" &&
    "bucket" in row &&
    Number.isSafeInteger(row.bucket) &&
    "identities" in row &&
    typeof row.identities === "number" &&
    Number.isSafeInteger(row.identities) &&
    row.identities > 0
  );
}
