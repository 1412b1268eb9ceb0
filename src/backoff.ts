/** Exponential backoff: the first delay, the factor between delays, and their maximum. */
export type Backoff = {
  firstMs: number;
  factor: number;
  maxMs: number;
  /** Retries in a row. */
  maxRetries: number;
};

/**
 * The delay before the next try after `failures` failed ones in a row, in milliseconds. Each delay is shortened at random
 * by up to half, so that tries which failed together are not repeated together. Null once the retries are used up.
 * @param random in [0, 1)
 */
export function retryDelay(failures: number, random: number, backoff: Backoff): number | null {
  if (failures > backoff.maxRetries) return null;
  const longest = Math.min(backoff.maxMs, backoff.firstMs * backoff.factor ** (failures - 1));
  return Math.round(longest * (1 - random / 2));
}
