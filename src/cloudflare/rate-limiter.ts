import type { RateLimit } from "@cloudflare/workers-types";
import type { Limiter } from "../http/failed-attempts.ts";
import { consoleLog, describeBug } from "../log.ts";

/** The rate limit from wrangler.toml. While it is unavailable, every attempt is allowed. */
export function createRateLimiter(rateLimit: RateLimit): Limiter {
  return async (key) => {
    try {
      return (await rateLimit.limit({ key })).success;
    } catch (error) {
      consoleLog("error", "limiter.unavailable", { error: describeBug(error) });
      return true;
    }
  };
}
