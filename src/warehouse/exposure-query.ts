import { bucketsOf, type Window } from "../exposures/buckets.ts";
import type { CountedExposures } from "../exposures/summary.ts";
import { failed, type Result } from "../result.ts";
import type { QueryParameters, Warehouse } from "./client.ts";
import { EVENTS_TABLE, FIRST_AND_LATE, IN_WINDOW, IS_VALID, SELECT_LATEST } from "./event-sql.ts";
import { readCounts } from "./exposure-rows.ts";
import { MEMORY_LIMIT_EXCEEDED, type WarehouseFailure } from "./failure.ts";

export type ExposureQuestion = { environmentKey: string; featureName: string; window: Window };

/** The first is the faster one; the second answers when two names collide in the first, as names can be made to. */
const VARIANT_HASHES = ["cityHash64", "sipHash64"] as const;
export type VariantHash = (typeof VARIANT_HASHES)[number];

/** Where exposures are read from, in SQL: columns by what they mean, and the condition on the experiment's rows. */
export type Source = {
  from: string;
  where: string;
  /** Two numbers, both 0 for what is nobody's. */
  identity: readonly [string, string];
  variant: string;
  firstAndLate: string;
  /** How many events a row stands for. */
  events: string;
  /** The variants' names, where a look of its own costs less than naming them in the same pass. */
  names?: (variantHash: VariantHash) => string;
  /** SELECTs of what else there is to know. */
  rest: readonly string[];
};

const EVENTS: Source = {
  from: EVENTS_TABLE,
  where: IN_WINDOW,
  // Two hash functions that have nothing in common, because one 128-bit function takes longer than both.
  identity: [`if(${IS_VALID}, cityHash64(identifier), 0)`, `if(${IS_VALID}, xxh3(identifier), 0)`],
  variant: "value",
  firstAndLate: FIRST_AND_LATE,
  events: "count()",
  rest: [SELECT_LATEST],
};

/**
 * One row for each bucket and variant that somebody was first exposed in, one for all who saw several variants, one for
 * each variant with its name, and one for the events that are nobody's, from one pass over the exposures; and the rest.
 *
 * What is kept of an identity has a fixed size, whatever its events: hashes of 128 bits for itself and of 64 for its
 * variant. The AND and the OR of its variants' hashes differ exactly if it saw more than one, and neither they nor the
 * earliest timestamp care for order, duplicates or lateness. That two of n identities share both hashes has a chance of
 * n² / 2^129, 1.5e-23 for 100 million; two variants with one hash show as one hash with two names.
 *
 * Each grouping set groups the events that are nobody's: all of them as the identity (0, 0), and those without a variant
 * as the name ''. That is one row, of which the larger number counts.
 *
 * All arithmetic is on epoch milliseconds: DateTime64 without a zone holds those, so that the server's time zone never
 * shows. Hashes travel as text, since JSON's numbers end at 2^53.
 */
const sql = (source: Source, variantHash: VariantHash) => {
  const { from, where, identity, variant, firstAndLate, events, names, rest } = source;
  const counts = `
SELECT
  arrayElement(['identities', 'multiple', 'variant', 'invalid'], row_kind) AS kind,
  name,
  toString(hash) AS variant_hash,
  index * {bucket_size:Int64} AS at,
  count() AS identities,
  sum(bitAnd(earliest, 1)) AS late,
  if(row_kind = 4, max(event_count), sum(event_count)) AS events
FROM (
  SELECT
    ${identity[0]} AS identity_1,
    ${identity[1]} AS identity_2,
    ${names === undefined ? variant : "''"} AS name,
    groupBitAnd(${variantHash}(${variant})) AS variant_and,
    groupBitOr(${variantHash}(${variant})) AS variant_or,
    min(${firstAndLate}) AS earliest,
    ${events} AS event_count,
    multiIf(identity_1 = 0 AND identity_2 = 0, if(name = '', 4, 3), variant_and != variant_or, 2, 1) AS row_kind
  FROM ${from}
  WHERE ${where}
  GROUP BY ${names === undefined ? "GROUPING SETS ((identity_1, identity_2), (name))" : "identity_1, identity_2"}
)
GROUP BY
  row_kind,
  name,
  if(row_kind IN (1, 3), variant_and, 0) AS hash,
  if(row_kind = 1, intDiv(earliest, 2 * {bucket_size:Int64}), 0) AS index`;
  return [counts, ...(names === undefined ? [] : [names(variantHash)]), ...rest].join("\nUNION ALL\n");
};

/** From so many bytes on, a second try spills to the server's disk what the first found no memory for. */
const SPILL_FROM_BYTES = 100_000_000;

/**
 * Counts the identities of one experiment by their first exposure. Believes no row that is not a count: a wrong
 * shape, a negative or unsafe number, or a bucket outside the window fails the whole answer.
 */
export function countExposures(
  warehouse: Warehouse,
  question: ExposureQuestion,
): Promise<Result<CountedExposures, WarehouseFailure>> {
  return countFrom(warehouse, EVENTS, parametersOf(warehouse, question), question.window);
}

/** What the SQL of a question is bound to. */
export function parametersOf(
  warehouse: Pick<Warehouse, "table">,
  { environmentKey, featureName, window }: ExposureQuestion,
): QueryParameters {
  return {
    ...warehouse.table,
    environment_key: environmentKey,
    feature_name: featureName,
    from: window.from,
    to: window.to,
    bucket_size: bucketsOf(window).size,
  };
}

/** What is asked about a window, for whoever wants to ask it again by hand. */
export function describeQuestion(table: Warehouse["table"], question: ExposureQuestion) {
  return { sql: sql(EVENTS, VARIANT_HASHES[0]).trim(), parameters: parametersOf({ table }, question) };
}

/** The same from any source, with the parameters that its SQL names. */
export async function countFrom(
  warehouse: Warehouse,
  source: Source,
  parameters: QueryParameters,
  window: Window,
): Promise<Result<CountedExposures, WarehouseFailure>> {
  for (const variantHash of VARIANT_HASHES) {
    const rows = await selectOrSpill(warehouse, sql(source, variantHash), parameters);
    if (!rows.ok) return rows;
    const counted = readCounts(rows.value, window);
    if (counted !== "collision") return counted;
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
