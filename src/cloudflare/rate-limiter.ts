import type { RateLimit } from "@cloudflare/workers-types";
import type { Limiter } from "../http/failed-attempts.ts";
import { consoleLog, describeBug } from "../log.ts";

/** The rate limit of wrangler.toml. It allows every attempt while it does not answer. */
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
