import { createTtlCache } from "../ttl-cache.ts";
import type { ApiKey } from "./api-keys.ts";
import type { Changes, Database } from "./database.ts";
import { getSummary, getSummaryWithApiKey, type StoredSummary } from "./summaries.ts";

const MAX_ENTRIES = 1_000;
/** An eighth of an isolate's memory limit. */
const MAX_BYTES = 16 * 2 ** 20;
/** A character takes up to two bytes, and a response made from the summary holds its text once more. */
const BYTES_PER_CHARACTER = 4;
/** The object itself and its small fields. */
const BYTES_PER_ENTRY = 1_000;

/**
 * Caches summaries for a TTL after their read began. It holds values, never promises: in a Worker, a request must not
 * await a promise of another request.
 */
export type SummaryCache = {
  get(experimentId: string): StoredSummary | undefined;
  /** Starts a read. The returned function caches its outcome, unless an entry was invalidated in between. */
  beginRead(): (experimentId: string, summary: StoredSummary) => void;
  invalidate(changes: Changes): void;
};

export function createSummaryCache(ttlMs: number, clock: () => number): SummaryCache {
  const entries = createTtlCache<StoredSummary>(ttlMs, MAX_ENTRIES, clock, {
    weightOf: ({ exposures }) => BYTES_PER_ENTRY + (exposures?.length ?? 0) * BYTES_PER_CHARACTER,
    max: MAX_BYTES,
  });
  let writes = 0;
  return {
    get: (experimentId) => entries.get(experimentId),
    beginRead() {
      const start = { at: clock(), writes };
      return (experimentId, summary) => {
        // A read that overlaps a write may return the row as it was before the write.
        if (start.writes === writes && ttlMs > 0) entries.set(experimentId, summary, start.at);
      };
    },
    invalidate(changes) {
      writes += 1;
      if (changes === "any") entries.clear();
      else for (const experimentId of changes) entries.delete(experimentId);
    },
  };
}

/** A database whose writes invalidate the cached summaries that they may change, even if they fail. */
export function invalidateAfter(database: Database, cache: SummaryCache): Database {
  return {
    ...database,
    async transact(statements, changes = []) {
      try {
        return await database.transact(statements, changes);
      } finally {
        if (changes === "any" || changes.length > 0) cache.invalidate(changes);
      }
    },
  };
}

/** Reads summaries through the cache. */
export type Summaries = {
  cached(experimentId: string): StoredSummary | undefined;
  /** Reads the summary from the database, and caches it. */
  read(experimentId: string): Promise<StoredSummary | null>;
  /** Reads the summary and the API key with this hash in one statement, and caches the summary. */
  readWithApiKey(
    experimentId: string,
    sha256: string,
  ): Promise<{ summary: StoredSummary | null; apiKey: ApiKey | null }>;
};

export function summariesThrough(cache: SummaryCache, database: Database): Summaries {
  return {
    cached: cache.get,
    async read(experimentId) {
      const store = cache.beginRead();
      const summary = await getSummary(database, experimentId);
      if (summary !== null) store(experimentId, summary);
      return summary;
    },
    async readWithApiKey(experimentId, sha256) {
      const store = cache.beginRead();
      const found = await getSummaryWithApiKey(database, experimentId, sha256);
      if (found.summary !== null) store(experimentId, found.summary);
      return found;
    },
  };
}
