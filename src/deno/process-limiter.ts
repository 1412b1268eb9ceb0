import type { Limiter } from "../http/failed-attempts.ts";

/** The same limit as in wrangler.toml. */
export const FAILED_ATTEMPTS = { limit: 100, periodSeconds: 60 };

/** Creates the rate limiter of a single process, with fixed periods. */
export function createProcessLimiter(clock: () => number): Limiter {
  let period = 0;
  const counts = new Map<string, number>();
  return async (key) => {
    const current = Math.floor(clock() / (FAILED_ATTEMPTS.periodSeconds * 1000));
    if (current !== period) counts.clear();
    period = current;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return count <= FAILED_ATTEMPTS.limit;
  };
}
