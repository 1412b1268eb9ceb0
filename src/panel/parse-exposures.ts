import type { Granularity } from "../exposures/buckets.ts";
import type { CheckStatus } from "../exposures/health.ts";

/** The identities of one variant: in total, and one value per bucket. */
export type VariantSeries = { key: string; total: number; added: number[]; cumulative: number[] };

/** The name may be one of another version. */
export type CheckResult = { name: string; status: CheckStatus; detail: string; [figure: string]: unknown };

/** A stored summary in the form that pages and charts need. */
export type Exposures = {
  total: number;
  excluded: number;
  granularity: Granularity;
  /** The start of each bucket, in epoch milliseconds. */
  buckets: number[];
  /** `control` first, then the configured variants in their order, then all others. */
  variants: VariantSeries[];
  health: { status: CheckStatus; checks: CheckResult[] };
};

type Counts = Record<string, number>;
type Stored = {
  total_identities: number;
  excluded_identities: number;
  variants: Counts;
  /** Missing from numbers that became final before there were health checks. */
  health?: Exposures["health"];
  timeseries: {
    granularity: Granularity;
    points: { bucket: string; new_identities: Counts; cumulative_identities: Counts }[];
  };
};

/**
 * Parses the `exposures` object that a refresh has stored.
 * @param json the object as JSON
 * @param configuredKeys the keys of the configured variants in their order, which JSON loses for keys such as `2`
 */
export function parseExposures(json: string, configuredKeys: readonly string[]): Exposures {
  const stored: Stored = JSON.parse(json);
  const { points, granularity } = stored.timeseries;
  const totals = new Map(Object.entries(stored.variants));
  const keys = [...new Set([...configuredKeys.filter((key) => totals.has(key)), ...totals.keys()])];
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
