import type { RecentSummaries } from "./database.ts";
import type { StoredSummary } from "./summaries.ts";
import { createShortMemory } from "../ttl-cache.ts";

const MOST_KEPT = 1_000;
/** An eighth of what an isolate may use in all. */
const MOST_BYTES = 16 * 2 ** 20;
/** A character takes up to two bytes, and an answer that was made of a summary holds all of it once more. */
const BYTES_A_CHARACTER = 4;
/** For the object itself and its small fields. */
const BYTES_BESIDE = 1_000;

/**
 * Summaries as the database held them less than so long ago. Values only: in a Worker, one request must not wait for
 * what another one has begun.
 */
export function createRecentSummaries(keptMs: number, clock: () => number): RecentSummaries {
  const bytesOf = ({ exposures }: StoredSummary) => BYTES_BESIDE + (exposures?.length ?? 0) * BYTES_A_CHARACTER;
  const kept = createShortMemory<StoredSummary>(keptMs, MOST_KEPT, clock, { of: bytesOf, most: MOST_BYTES });
  let writes = 0;
  return {
    get: (experimentId) => kept.get(experimentId),
    beginRead() {
      const begun = { at: clock(), writes };
      return (experimentId, summary) => {
        // What was read while something was written may be of before it.
        if (begun.writes === writes && keptMs > 0) kept.set(experimentId, summary, begun.at);
      };
    },
    forget(experimentIds) {
      writes += 1;
      if (experimentIds === null) kept.clear();
      else for (const id of experimentIds) kept.delete(id);
    },
  };
}
