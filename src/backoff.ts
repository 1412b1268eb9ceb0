/** Exponential backoff with a bounded number of retries. */
export type Backoff = {
  firstMs: number;
  factor: number;
  maxMs: number;
  maxRetries: number;
};

/**
 * Returns the delay before the next attempt after `failures` failed ones in a row, in milliseconds, or null if no retries
 * are left. Jitter shortens each delay by up to half, so that attempts which failed together are not retried together.
 * @param random in [0, 1)
 */
export function retryDelay(failures: number, random: number, backoff: Backoff): number | null {
  if (failures > backoff.maxRetries) return null;
  const full = Math.min(backoff.maxMs, backoff.firstMs * backoff.factor ** (failures - 1));
  return Math.round(full * (1 - random / 2));
}
