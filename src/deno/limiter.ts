import type { Limiter } from "../http/guard.ts";

// As in wrangler.toml.
const LIMIT = 100;
const PERIOD_MS = 60_000;

/** The rate limit of a single process: it counts anew in each period. */
export function createLimiter(clock: () => number): Limiter {
  let period = 0;
  const counts = new Map<string, number>();
  return async (key) => {
    const current = Math.floor(clock() / PERIOD_MS);
    if (current !== period) counts.clear();
    period = current;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return count <= LIMIT;
  };
}
