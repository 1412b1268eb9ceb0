import { type Breakdowns, FIRST_EXPOSURE } from "../exposures/breakdown.ts";
import { bucketsOf } from "../exposures/buckets.ts";
import { isCount } from "../exposures/json.ts";
import { failed, ok, type Result } from "../result.ts";
import { type BreakdownQuery, MAX_VALUES } from "./breakdown-query.ts";
import type { WarehouseFailure } from "./failure.ts";

/**
 * The key of identities whose variant is not configured, all together. No variant has it, because an event without a value
 * is invalid.
 */
const OTHER_VARIANTS = "";

/** The key of all values but the largest. The query returns no empty text. */
const REST = "";

/** Counted, excluded and late identities, then those of each variant. */
type Counts = readonly number[];
type Row = { dimension: number; text: string; counts: Counts };

/**
 * Reads the rows of the breakdown query. Each dimension must have the same totals: what the largest values lack of them is
 * the rest, which is left out if it is empty.
 */
export function readBreakdowns(rows: readonly unknown[], query: BreakdownQuery): Result<Breakdowns, WarehouseFailure> {
  const keys = [...query.variants.map(({ key }) => key), OTHER_VARIANTS];
  const none: Counts = [0, 0, 0, ...keys.map(() => 0)];
  const names = [FIRST_EXPOSURE, "sdk_language", "sdk_version", ...query.traits.map((trait) => `traits.${trait}`)];
  const found = names.map(() => new Map<string, Counts>());
  for (const row of rows) {
    const read = readRow(row, none.length);
    const values = read === null ? undefined : found[read.dimension];
    if (read === null || values === undefined || values.has(read.text)) return failed({ kind: "bad_rows" });
    values.set(read.text, read.counts);
  }

  const [byBucket = new Map<string, Counts>(), ...others] = found;
  const total = sumOf(byBucket, none);
  const { first, size, count } = bucketsOf(query.window);
  const buckets = new Map(Array.from({ length: count }, (_, index) => [String(first + index * size), none]));
  for (const [start, counts] of byBucket)
    if (!buckets.has(start)) return failed({ kind: "bad_rows" });
    else buckets.set(start, counts);

  for (const values of others) {
    const rest = total.map((count, index) => count - (sumOf(values, none)[index] ?? 0));
    const isComplete = rest.every((count) => count === 0);
    if (rest.some((count) => count < 0) || values.size > MAX_VALUES || (!isComplete && values.size < MAX_VALUES))
      return failed({ kind: "bad_rows" });
    if (!isComplete) values.set(REST, rest);
  }
  const dimensions = [buckets, ...others].map((values, index) => ({
    dimension: names[index] ?? "",
    values: [...values].map(([text, counts]) => valueWith(text, counts, keys)),
  }));
  return ok({ splitFrom: query.splitFrom, dimensions });
}

function valueWith(text: string, [counted = 0, excluded = 0, late = 0, ...split]: Counts, keys: readonly string[]) {
  const identities = keys.map((key, index): [string, number] => [key, split[index] ?? 0]);
  const seen = identities.filter(([key, count]) => key !== OTHER_VARIANTS || count > 0);
  return { value: text === REST ? null : text, identities: new Map(seen), counted, excluded, late };
}

function sumOf(values: ReadonlyMap<string, Counts>, none: Counts): Counts {
  return [...values.values()].reduce((sum, counts) => sum.map((count, index) => count + (counts[index] ?? 0)), none);
}

function readRow(row: unknown, length: number): Row | null {
  if (
    typeof row !== "object" ||
    row === null ||
    !("dimension" in row && Number.isSafeInteger(row.dimension)) ||
    !("text" in row && typeof row.text === "string" && row.text !== REST) ||
    !("counts" in row && Array.isArray(row.counts) && row.counts.every(isCount))
  )
    return null;
  const counts: number[] = row.counts;
  const [counted = 0, excluded = 0, late = 0, ...split] = counts;
  const isSound =
    counts.length === length &&
    counted + excluded > 0 &&
    late <= counted + excluded &&
    split.reduce((sum, count) => sum + count, 0) <= counted;
  return isSound ? { dimension: Number(row.dimension), text: row.text, counts } : null;
}
