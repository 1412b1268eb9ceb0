import type { Variant } from "../experiment.ts";
import { FIRST_EXPOSURE } from "../exposures/breakdown.ts";
import type { QueryParameters, Warehouse } from "./client.ts";
import { EVENTS_TABLE, FIRST_AND_LATE, IN_WINDOW, IS_VALID } from "./event-sql.ts";
import { type ExposureQuery, exposureParameters } from "./exposure-query.ts";

/** The exposures to break down. */
export type BreakdownQuery = ExposureQuery & {
  /** At most MAX_BREAKDOWN_VARIANTS. Identities with any other variant are counted together. */
  variants: readonly Variant[];
  /** The keys of `traits` to break down by. */
  traits: readonly string[];
  /** Identities first exposed from here on are counted by variant, in epoch milliseconds. */
  splitFrom: number;
};

/** Each variant is a column of every group. */
export const MAX_BREAKDOWN_VARIANTS = 100;
/** The values that a dimension names. The others are one value together. */
export const MAX_VALUES = 20;
const MAX_CHARACTERS = 200;

// No real value equals a label, because one that begins with a parenthesis is returned as JSON text, in quotes.
const NOT_SET = "'(not set)'";
const NOT_AN_OBJECT = "'(not a JSON object)'";

/** Separates the values of a profile. A NUL in a value is replaced. */
const SEPARATOR = "'\\0'";

/** A string is returned as JSON text if it is empty or could be taken for a label or such a text. */
const distinct = (text: string) =>
  `if(${text} = '' OR startsWith(${text}, '(') OR startsWith(${text}, '"'), toJSONString(${text}), ${text})`;

const sdkText = (column: string) => `if(${column} = '', ${NOT_SET}, ${distinct(column)})`;

/** Reads all keys at once. By themselves, the elements of an array would be read as the values of the keys. */
const TRAITS = "JSONExtract(if(startsWith(trimLeft(traits), '['), '', traits), {traits_type:String})";

/** The one key that no element of a tuple may have as its name. */
const RESERVED_NAME = "null";
const tupleNames = (traits: readonly string[]) => traits.filter((trait) => trait !== RESERVED_NAME);

/** A value other than a string is returned as JSON text. A key whose value is null is not set. */
function traitText(trait: string, traits: readonly string[]): string {
  const value =
    trait === RESERVED_NAME
      ? `JSONExtract(traits, '${RESERVED_NAME}', 'Nullable(String)')`
      : `tupleElement(${TRAITS}, ${tupleNames(traits).indexOf(trait) + 1})`;
  const missing = `if(JSONType(traits) = 'Object', ${NOT_SET}, ${NOT_AN_OBJECT})`;
  return `if(isNull(${value}), ${missing}, ${distinct(`assumeNotNull(${value})`)})`;
}

function traitParameters(traits: readonly string[]): QueryParameters {
  const elements = tupleNames(traits).map((name) => `\`${name.replace(/[\\`]/g, "\\$&")}\` Nullable(String)`);
  return elements.length === 0 ? {} : { traits_type: `Tuple(${elements.join(", ")})` };
}

/** Cuts a text at a character, and frees it of the separator. */
function bounded(text: string): string {
  return `replaceAll(if(length(${text}) > ${MAX_CHARACTERS}, substringUTF8(${text}, 1, ${MAX_CHARACTERS}), ${text}), ${SEPARATOR}, '\u2400')`;
}

/** The value of one dimension as SQL, with its parameters. A bucket of time is its start in ISO 8601. */
export function breakdownText(dimension: string): { text: string; parameters: QueryParameters } {
  if (dimension === FIRST_EXPOSURE) {
    const start = "intDiv(toUnixTimestamp64Milli(timestamp), {bucket_size:Int64}) * {bucket_size:Int64}";
    const format = "'%Y-%m-%dT%H:%i:%S.000Z', 'UTC'";
    return { text: `formatDateTime(fromUnixTimestamp64Milli(${start}), ${format})`, parameters: {} };
  }
  if (!dimension.startsWith("traits.")) return { text: bounded(sdkText(dimension)), parameters: {} };
  const trait = dimension.slice("traits.".length);
  return { text: bounded(traitText(trait, [trait])), parameters: traitParameters([trait]) };
}

const variantHash = (index: number) => `sipHash64({variant_${index}:String})`;

/**
 * The conditions of a row's counts: counted, excluded and late identities, then those first exposed from `split_from` on of
 * each configured variant, and of all others together.
 */
function conditionsOf(variants: number): string[] {
  const hashes = Array.from({ length: variants }, (_, index) => variantHash(index));
  const isOther = hashes.length === 0 ? "1" : `variant_and NOT IN (${hashes.join(", ")})`;
  return [
    "variant_and = variant_or",
    "variant_and != variant_or",
    "bitAnd(earliest, 1) = 1",
    ...[...hashes.map((hash) => `variant_and = ${hash}`), isOther].map((condition) => `is_split AND ${condition}`),
  ];
}

/**
 * The SQL that counts the identities of the exposures query by their values at the first exposure. It returns one row for
 * each bucket of time with first exposures, as dimension 0, and for the largest values of each other dimension.
 *
 * The values of one exposure are joined to one text, its profile. The state of an identity holds the profile of its first
 * exposure. Of several at the same millisecond, it is one that was not late, with the smallest hash. So it depends neither
 * on the order of events nor on duplicates. Identities are then grouped by profile, and only profiles are split into
 * values, so another dimension costs little but the reading of it. A state grows with the length of its profile.
 *
 * Variants are compared by a hash for which no two names with the same hash are known.
 */
export function breakdownSql({ variants, traits }: BreakdownQuery): string {
  const texts = [sdkText("sdk_language"), sdkText("sdk_version"), ...traits.map((trait) => traitText(trait, traits))];
  const counts = conditionsOf(variants.length).map((condition) => `countIf(${condition})`);
  return `
SELECT
  dimension,
  text,
  sumForEach(part) AS counts
FROM (
  SELECT
    if(profile = '', [toString(at)], splitByChar(${SEPARATOR}, profile)) AS texts,
    if(profile = '', [0], arrayEnumerate(texts)) AS dimensions,
    [
      ${counts.join(",\n      ")}
    ] AS part
  FROM (
    SELECT
      groupBitAnd(sipHash64(value)) AS variant_and,
      groupBitOr(sipHash64(value)) AS variant_or,
      min(${FIRST_AND_LATE}) AS earliest,
      intDiv(earliest, 2 * {bucket_size:Int64}) * {bucket_size:Int64} AS at,
      variant_and = variant_or AND earliest >= 2 * {split_from:Int64} AS is_split,
      argMin(
        concatWithSeparator(${SEPARATOR},
          ${texts.map(bounded).join(",\n          ")}
        ) AS own_profile,
        bitShiftLeft(toUInt128(${FIRST_AND_LATE}), 64) + cityHash64(own_profile)
      ) AS profile
    FROM ${EVENTS_TABLE}
    WHERE ${IN_WINDOW} AND ${IS_VALID}
    GROUP BY cityHash64(identifier), xxh3(identifier)
  )
  GROUP BY GROUPING SETS ((profile), (at))
)
ARRAY JOIN texts AS text, dimensions AS dimension
GROUP BY dimension, text
ORDER BY counts[1] + counts[2] DESC, text
LIMIT ${MAX_VALUES} BY dimension, if(dimension = 0, text, '')`;
}

/** The values of the parameters in the SQL. */
export function breakdownParameters(table: Warehouse["table"], query: BreakdownQuery): QueryParameters {
  const { variants, traits, splitFrom } = query;
  return {
    ...exposureParameters(table, query),
    split_from: splitFrom,
    ...Object.fromEntries(variants.map(({ key }, index) => [`variant_${index}`, key])),
    ...traitParameters(traits),
  };
}
