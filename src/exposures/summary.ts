import { type Buckets, bucketsOf, type Window } from "./buckets.ts";
import type { Check, Figure, Health } from "./health.ts";

/**
 * Identities of the window, counted by how they were exposed: either all that saw one variant only, by the bucket
 * of their first exposure, or those that saw several, who belong to no variant and no bucket.
 */
export type ExposureCount =
  | { multiple: false; variant: string; bucket: number; identities: number }
  | { multiple: true; identities: number };

/** How the events of the window came in. */
export type Collection = {
  /** Epoch milliseconds; null if there is none. */
  latestExposureAt: number | null;
  /** Identities, whatever they saw, whose first exposure was collected more than an hour after it happened. */
  lateIdentities: number;
  /** Exposures that count for nothing, because they name no identity or no variant. */
  invalidEvents: number;
  /** Exposures that came, duplicates and invalid ones too. Where none is invalid, it may not have been counted: 0. */
  events: number;
};

/** What the warehouse knows of a window. */
export type CountedExposures = { counts: ExposureCount[]; collection: Collection };

/** One variant's identities, one number a bucket. */
export type Series = { total: number; added: number[] };

export type Summary = {
  buckets: Buckets;
  totalIdentities: number;
  excludedIdentities: number;
  /** By variant key: the configured ones in their order, then those seen but not configured, sorted. */
  variants: Map<string, Series>;
};

/**
 * Counts become the gap-free series of every variant, configured or seen. Linear in counts plus buckets × variants.
 * A Map, because any text is a legal key: `__proto__`, `1`, `$multiple`.
 * `counts` must lie inside the window's buckets; whoever reads them checks that.
 */
export function summarise(counts: Iterable<ExposureCount>, window: Window, configured: Iterable<string>): Summary {
  const buckets = bucketsOf(window);
  const emptySeries = (): Series => ({ total: 0, added: new Array<number>(buckets.count).fill(0) });
  const variants = new Map<string, Series>();
  for (const key of configured) variants.set(key, emptySeries());
  const seen = new Map<string, Series>();
  let totalIdentities = 0;
  let excludedIdentities = 0;

  for (const count of counts) {
    if (count.multiple) {
      excludedIdentities += count.identities;
      continue;
    }
    let series = variants.get(count.variant) ?? seen.get(count.variant);
    if (series === undefined) {
      series = emptySeries();
      seen.set(count.variant, series);
    }
    const index = (count.bucket - buckets.first) / buckets.size;
    series.added[index] = (series.added[index] ?? 0) + count.identities;
    series.total += count.identities;
    totalIdentities += count.identities;
  }

  for (const [key, series] of [...seen].sort(([a], [b]) => (a < b ? -1 : 1))) variants.set(key, series);
  return { buckets, totalIdentities, excludedIdentities, variants };
}

/**
 * The `exposures` object of the answer as JSON text. Written by hand because an object literal would reorder keys
 * like `2` and lose `__proto__`; the same summary always gives the same bytes.
 */
export function serialise(summary: Summary, health: Health): string {
  const { buckets } = summary;
  const columns = [...summary.variants].map(([key, series]) => ({ name: JSON.stringify(key), series, cumulative: 0 }));
  const points: string[] = [];
  for (let index = 0; index < buckets.count; index++) {
    const added: string[] = [];
    const cumulative: string[] = [];
    for (const column of columns) {
      const count = column.series.added[index] ?? 0;
      column.cumulative += count;
      added.push(`${column.name}:${count}`);
      cumulative.push(`${column.name}:${column.cumulative}`);
    }
    const bucket = new Date(buckets.first + index * buckets.size).toISOString();
    points.push(
      `{"bucket":"${bucket}","new_identities":{${added.join()}},"cumulative_identities":{${cumulative.join()}}}`,
    );
  }
  const totals = columns.map(({ name, series }) => `${name}:${series.total}`);
  return (
    `{"total_identities":${summary.totalIdentities},"excluded_identities":${summary.excludedIdentities},` +
    `"variants":{${totals.join()}},` +
    `"health":{"status":"${health.status}","checks":[${health.checks.map(serialiseCheck).join()}]},` +
    `"timeseries":{"granularity":"${buckets.granularity}","points":[${points.join()}]}}`
  );
}

function serialiseCheck({ name, status, detail, figures }: Check): string {
  const properties: Record<string, Figure> = { name, status, detail, ...figures };
  const fields = Object.entries(properties).map(([key, figure]) => {
    if (!(figure instanceof Map)) return `"${key}":${JSON.stringify(figure)}`;
    const numbers = [...figure].map(([variant, value]) => `${JSON.stringify(variant)}:${JSON.stringify(value)}`);
    return `"${key}":{${numbers.join()}}`;
  });
  return `{${fields.join()}}`;
}
