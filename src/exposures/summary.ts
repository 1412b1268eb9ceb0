import { type Buckets, bucketsOf, type Window } from "./buckets.ts";

/**
 * A number of identities in the window. Identities that saw one variant are counted by the bucket of their first exposure.
 * Identities that saw several variants belong to no variant and no bucket.
 */
export type ExposureCount =
  | { multiple: false; variant: string; bucket: number; identities: number }
  | { multiple: true; identities: number };

/** Facts about the collection of the window's events. */
export type Collection = {
  /** Epoch milliseconds; null if there are no exposures. */
  latestExposureAt: number | null;
  /** Identities whose first exposure was collected more than an hour after it happened. */
  lateIdentities: number;
  /** Exposures without an identity or a variant. No other count includes them, except `events`. */
  invalidEvents: number;
  /** All exposures, including duplicates and invalid ones. If none is invalid, they may be left uncounted as 0. */
  events: number;
};

/** The warehouse's counts for one window. */
export type CountedExposures = { counts: ExposureCount[]; collection: Collection };

/** All identities of a count, excluded ones included. */
export function identitiesIn({ counts }: CountedExposures): number {
  return counts.reduce((sum, { identities }) => sum + identities, 0);
}

/** The identities of each variant, and under null the excluded ones. */
export function identitiesByVariant({ counts }: CountedExposures): ReadonlyMap<string | null, number> {
  const totals = new Map<string | null, number>();
  for (const count of counts) {
    const key = count.multiple ? null : count.variant;
    totals.set(key, (totals.get(key) ?? 0) + count.identities);
  }
  return totals;
}

/** One variant's identities: the total, and the new ones per bucket. */
export type Series = { total: number; added: number[] };

export type Summary = {
  buckets: Buckets;
  totalIdentities: number;
  excludedIdentities: number;
  /** By variant key: the configured ones in their order, then those seen but not configured, sorted. */
  variants: Map<string, Series>;
};

/**
 * Turns counts into a gap-free series for every variant, configured or seen. The time is linear in the counts plus
 * buckets × variants. The variants are in a Map because any text is a legal key: `__proto__`, `1`, `$multiple`.
 * @param counts inside the window's buckets, as checked when the rows are read
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
