import { isCount, property } from "../exposures/json.ts";
import type { CheckResult } from "./parse-exposures.ts";

/** The identities with one value of a dimension; null: all but the largest values, together. */
export type ValueCounts = { value: string | null; identities: ReadonlyMap<string, number>; excluded: number };
export type CheckCause = ValueCounts & { dimension: string; detail: string };

/** Reads the causes of a check. Numbers of another version have none, or others. */
export function causesOf(check: CheckResult): CheckCause[] {
  return listOf(check["causes"]).map((cause) => ({
    ...countsOf(cause),
    dimension: String(property(cause, "dimension")),
    detail: String(property(cause, "detail")),
  }));
}

/** Reads the dimension of the worst cause; null: there is no cause. */
export function breakdownOf({ breakdown }: CheckResult): { dimension: string; values: ValueCounts[] } | null {
  const values = listOf(property(breakdown, "values")).map(countsOf);
  return values.length === 0 ? null : { dimension: String(property(breakdown, "dimension")), values };
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function countsOf(item: unknown): ValueCounts {
  const [value, excluded] = [property(item, "value"), property(item, "excluded_identities")];
  const entries = Object.entries(Object(property(item, "identities")));
  return {
    value: typeof value === "string" ? value : null,
    identities: new Map(entries.flatMap(([key, count]) => (isCount(count) ? [[key, count]] : []))),
    excluded: isCount(excluded) ? excluded : 0,
  };
}
