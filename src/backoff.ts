export type Backoff = {
  firstMs: number;
  factor: number;
  longestMs: number;
  /** Retries in a row. */
  most: number;
};

/** After those the next sweep takes over: the warehouse has a lasting trouble. */
const REFRESH_RETRIES: Backoff = { firstMs: 5_000, factor: 3, longestMs: 300_000, most: 5 };

/**
 * How long to wait before the next try after `failures` failed ones in a row: for a refresh 5 s, 15 s, 45 s … 5 min, each
 * shortened at random by up to half, so that what failed together is not retried together. Null: no more.
 * @param random in [0, 1)
 */
export function retryDelay(failures: number, random: number, backoff = REFRESH_RETRIES): number | null {
  if (failures > backoff.most) return null;
  const longest = Math.min(backoff.longestMs, backoff.firstMs * backoff.factor ** (failures - 1));
  return Math.round(longest * (1 - random / 2));
}
