const FIRST_MS = 5_000;
const FACTOR = 3;
const LONGEST_MS = 300_000;
/** After that many retries in a row the next sweep takes over: the warehouse has a lasting trouble. */
const MOST_RETRIES = 5;

/**
 * How long to wait before the next try after `failures` failed ones in a row: 5 s, 15 s, 45 s … 5 min, each shortened
 * at random by up to half, so that what failed together is not retried together. Null: no more.
 * @param random in [0, 1)
 */
export function retryDelay(failures: number, random: number): number | null {
  if (failures > MOST_RETRIES) return null;
  const longest = Math.min(LONGEST_MS, FIRST_MS * FACTOR ** (failures - 1));
  return Math.round(longest * (1 - random / 2));
}
