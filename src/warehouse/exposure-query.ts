import { bucketsOf, type Window } from "../exposures/buckets.ts";
import type { QueryParameters, Warehouse } from "./client.ts";
import {
  COUNT_EVENTS,
  EVENTS_TABLE,
  FIRST_AND_LATE,
  IN_WINDOW,
  IS_VALID,
  SELECT_LATEST,
  VARIANT,
} from "./event-sql.ts";

/** The exposures to count: those of one environment and feature, in a window. */
export type ExposureQuery = { environmentKey: string; featureName: string; window: Window };

/** The first function is faster. The second one serves where two variant names collide in the first. */
export const VARIANT_HASHES = ["cityHash64", "sipHash64"] as const;
export type VariantHash = (typeof VARIANT_HASHES)[number];

/** A table to count exposures from: SQL expressions by their meaning, and the condition on the experiment's rows. */
export type ExposureSource = {
  from: string;
  where: string;
  /** Two hashes of the identity, both 0 for an invalid event. */
  identity: readonly [string, string];
  /** The variant's name, '' for an invalid event. */
  variant: string;
  firstAndLate: string;
  /** The number of events behind a row. */
  events: string;
  /** A SELECT of the variants' names, where it costs less than reading them in the same pass. */
  names?: (variantHash: VariantHash) => string;
  /** Further SELECTs to append. */
  rest: readonly string[];
};

export const EVENTS: ExposureSource = {
  from: EVENTS_TABLE,
  where: IN_WINDOW,
  // Two unrelated 64-bit hash functions together take less time than one 128-bit function.
  identity: [`if(${IS_VALID}, cityHash64(identifier), 0)`, `if(${IS_VALID}, xxh3(identifier), 0)`],
  variant: VARIANT,
  firstAndLate: FIRST_AND_LATE,
  events: COUNT_EVENTS,
  rest: [SELECT_LATEST],
};

/**
 * The SQL that counts exposures in one pass. It returns one row per bucket and variant with first exposures, one row for
 * all identities that saw several variants, one row per variant with its name, and one row for invalid events.
 *
 * The state of an identity has a fixed size, whatever the number of its events: 128 bits of hash for the identity, and 64
 * for its variant. The bitwise AND and OR of its variants' hashes differ exactly if it saw more than one variant. Neither
 * they nor the earliest timestamp depend on the order of events, on duplicates or on late arrival. The probability that
 * two of n identities share both hashes is n² / 2^129: 1.5e-23 for 100 million. Two variants with the same hash show as
 * one hash with two names.
 *
 * Each grouping set also groups the invalid events, as the identity (0, 0) and as the name ''. Both become one row, and
 * their counts are equal.
 *
 * All arithmetic is on epoch milliseconds, which a DateTime64 without a zone stores, so the server's time zone has no
 * effect. Hashes are returned as text, because integers in JSON are exact only up to 2^53.
 */
export function exposureSql(source: ExposureSource, variantHash: VariantHash): string {
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
}

/** The values of the parameters in the SQL. */
export function exposureParameters(
  table: Warehouse["table"],
  { environmentKey, featureName, window }: ExposureQuery,
): QueryParameters {
  return {
    ...table,
    environment_key: environmentKey,
    feature_name: featureName,
    from: window.from,
    to: window.to,
    bucket_size: bucketsOf(window).size,
  };
}

/** The query behind an experiment's numbers, to be shown and run by hand. */
export function describeExposureQuery(table: Warehouse["table"], query: ExposureQuery) {
  return { sql: exposureSql(EVENTS, VARIANT_HASHES[0]).trim(), parameters: exposureParameters(table, query) };
}
