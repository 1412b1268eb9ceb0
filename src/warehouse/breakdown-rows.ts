import type { Breakdown, Breakdowns, BreakdownValue } from "../exposures/breakdown.ts";
import { bucketsOf } from "../exposures/buckets.ts";
import { failed, ok, type Result } from "../result.ts";
import { type BreakdownQuery, MAX_VALUES } from "./breakdown-query.ts";
import type { WarehouseFailure } from "./failure.ts";

/**
 * The key of identities whose variant is not configured, all together. No variant has it, because an event without a value
 * is invalid.
 */
const OTHER_VARIANTS = "";

/** Counted, excluded and late identities, then those of each variant. */
type Counts = readonly number[];
type Row = { dimension: number; text: string; counts: Counts };

/**
 * Reads the rows of the breakdown query. Each dimension must have the same totals: what the largest values lack of them is
 * the rest, which is left out if it is empty.
 */
export function readBreakdowns(rows: readonly unknown[], query: BreakdownQuery): Result<Breakdowns, WarehouseFailure> {
  const keys = [...query.variants.map(({ key }) => key), OTHER_VARIANTS];
  const names = ["sdk_language", "sdk_version", ...query.traits.map((trait) => `traits.${trait}`)];
  const found = new Map<number, Map<string, Counts>>();
  for (const row of rows) {
    const read = readRow(row, keys.length);
    const values = read && (found.get(read.dimension) ?? new Map<string, Counts>());
    if (read === null || values === null || values.has(read.text) || read.dimension > names.length)
      return failed({ kind: "bad_rows" });
    found.set(read.dimension, values.set(read.text, read.counts));
  }

  const none: Counts = [0, 0, 0, ...keys.map(() => 0)];
  const byBucket = found.get(0) ?? new Map<string, Counts>();
  const total = [...byBucket.values()].reduce(plus, none);
  const { first, size, count } = bucketsOf(query.window);
  const starts = Array.from({ length: count }, (_, index) => String(first + index * size));
  if ([...byBucket.keys()].some((start) => !starts.includes(start))) return failed({ kind: "bad_rows" });

  const summarise = (value: string | null, counts: Counts): BreakdownValue => {
    const [counted = 0, excluded = 0, late = 0, ...split] = counts;
    const identities = keys.map((key, index): [string, number] => [key, split[index] ?? 0]);
    const seen = identities.filter(([key, identities]) => key !== OTHER_VARIANTS || identities > 0);
    return { value, identities: new Map(seen), counted, excluded, late };
  };
  const dimensions: Breakdown[] = [
    { dimension: "first_exposure", values: starts.map((start) => summarise(start, byBucket.get(start) ?? none)) },
  ];
  for (const [index, dimension] of names.entries()) {
    const values = found.get(index + 1) ?? new Map<string, Counts>();
    const rest = minus(total, [...values.values()].reduce(plus, none));
    const hasRest = rest.some((count) => count > 0);
    if (rest.some((count) => count < 0) || values.size > MAX_VALUES || (hasRest && values.size < MAX_VALUES))
      return failed({ kind: "bad_rows" });
    dimensions.push({
      dimension,
      values: [
        ...[...values].map(([text, counts]) => summarise(text, counts)),
        ...(hasRest ? [summarise(null, rest)] : []),
      ],
    });
  }
  return ok({ splitFrom: query.splitFrom, dimensions });
}

const plus = (one: Counts, other: Counts): Counts => one.map((count, index) => count + (other[index] ?? 0));
const minus = (one: Counts, other: Counts): Counts => one.map((count, index) => count - (other[index] ?? 0));

/** @param variants the number of counts by variant */
function readRow(row: unknown, variants: number): Row | null {
  if (
    typeof row !== "object" ||
    row === null ||
    !("dimension" in row && isCount(row.dimension)) ||
    !("text" in row && typeof row.text === "string") ||
    !("counted_identities" in row && isCount(row.counted_identities)) ||
    !("excluded_identities" in row && isCount(row.excluded_identities)) ||
    !("late_identities" in row && isCount(row.late_identities)) ||
    !("split_identities" in row && Array.isArray(row.split_identities) && row.split_identities.every(isCount))
  )
    return null;
  const { dimension, text, counted_identities: counted, excluded_identities: excluded } = row;
  const split: number[] = row.split_identities;
  const isSound =
    counted + excluded > 0 &&
    row.late_identities <= counted + excluded &&
    split.length === variants &&
    split.reduce((sum, count) => sum + count, 0) <= counted;
  return isSound ? { dimension, text, counts: [counted, excluded, row.late_identities, ...split] } : null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
