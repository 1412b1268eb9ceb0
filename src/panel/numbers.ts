import type { Granularity } from "../exposures/buckets.ts";
import { type CheckName, type CheckStatus, SEVERITY } from "../exposures/health.ts";

/** One variant's identities, one number a bucket. */
export type VariantNumbers = { key: string; total: number; added: number[]; cumulative: number[] };

export type CheckNumbers = { name: CheckName; status: CheckStatus; detail: string; [figure: string]: unknown };

/** A stored summary, as pages and charts read it. */
export type Numbers = {
  total: number;
  excluded: number;
  granularity: Granularity;
  /** Where each begins, in epoch milliseconds. */
  buckets: number[];
  /** `control` first, then those configured in their order, then those seen besides. */
  variants: VariantNumbers[];
  health: { status: CheckStatus; checks: CheckNumbers[] };
};

type Counts = Record<string, number>;
type Stored = {
  total_identities: number;
  excluded_identities: number;
  variants: Counts;
  /** Numbers that were final before there were checks have none. */
  health?: Numbers["health"];
  timeseries: {
    granularity: Granularity;
    points: { bucket: string; new_identities: Counts; cumulative_identities: Counts }[];
  };
};

/**
 * Reads the `exposures` object as a refresh has written it.
 * @param configured the variants' keys: JSON loses the order of keys like `2`
 */
export function readNumbers(exposures: string, configured: readonly string[]): Numbers {
  const stored: Stored = JSON.parse(exposures);
  const { points, granularity } = stored.timeseries;
  const totals = new Map(Object.entries(stored.variants));
  const keys = [...new Set([...configured.filter((key) => totals.has(key)), ...totals.keys()])];
  const order = keys.includes("control") ? ["control", ...keys.filter((key) => key !== "control")] : keys;
  const countOf = (counts: Counts, key: string) => (Object.hasOwn(counts, key) ? (counts[key] ?? 0) : 0);
  return {
    total: stored.total_identities,
    excluded: stored.excluded_identities,
    granularity,
    buckets: points.map(({ bucket }) => Date.parse(bucket)),
    variants: order.map((key) => ({
      key,
      total: totals.get(key) ?? 0,
      added: points.map(({ new_identities }) => countOf(new_identities, key)),
      cumulative: points.map(({ cumulative_identities }) => countOf(cumulative_identities, key)),
    })),
    health: stored.health ?? { status: "waiting", checks: [] },
  };
}

/** So many places of a row at most, evenly spread, with the last one: what a small picture can show of a long row. */
export function evenlySpaced(length: number, most: number): number[] {
  const step = Math.max(1, Math.ceil(length / most));
  return Array.from({ length: Math.ceil(length / step) }, (_, index) => length - 1 - index * step).reverse();
}

/** From the worst to the best, and those as bad as each other in the order of the answer. */
export function bySeverity(checks: readonly CheckNumbers[]): CheckNumbers[] {
  return checks.toSorted((a, b) => SEVERITY.indexOf(a.status) - SEVERITY.indexOf(b.status));
}
