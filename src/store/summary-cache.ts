import { createTtlCache } from "../ttl-cache.ts";
import type { ApiKey } from "./api-keys.ts";
import { type Changes, type Database, onPrimary, REPLICA_LAG_MS } from "./database.ts";
import { getSummary, getSummaryWithApiKey, type StoredSummary } from "./summaries.ts";

const MAX_ENTRIES = 1_000;
/** An eighth of an isolate's memory limit. */
const MAX_BYTES = 16 * 2 ** 20;
/** A character takes up to two bytes, and a response made from the summary holds its text once more. */
const BYTES_PER_CHARACTER = 4;
/** The object itself and its small fields. */
const BYTES_PER_ENTRY = 1_000;
const BYTES_PER_VARIANT = 500;
/** The text of the figures is longer than that of the counts behind them. */
const BYTES_PER_COUNTED_CHARACTER = 12;
/** The versions are small, so that more of them fit. */
const MAX_VERSIONS = 10_000;

/**
 * Caches summaries for a TTL after their read began. It holds values, never promises: in a Worker, a request must not
 * await a promise of another request. It also records which rows of a replica are older than what this process has seen.
 */
export type SummaryCache = {
  get(experimentId: string): StoredSummary | undefined;
  /** Returns whether this process has written the row since it last read it. A replica may not have the write yet. */
  hasChanged(experimentId: string): boolean;
  /** Returns whether this process has seen a newer version of the row. */
  isOutdated(experimentId: string, summary: StoredSummary | null): boolean;
  /** Starts a read. The returned function caches its outcome, unless an entry was invalidated in between. */
  beginRead(): (experimentId: string, summary: StoredSummary) => void;
  invalidate(changes: Changes): void;
};

export function createSummaryCache(ttlMs: number, clock: () => number): SummaryCache {
  const entries = createTtlCache<StoredSummary>(ttlMs, MAX_ENTRIES, clock, {
    weightOf: ({ experiment, exposures, results }) =>
      BYTES_PER_ENTRY +
      (experiment.variants.length + experiment.metrics.length) * BYTES_PER_VARIANT +
      (results?.counted?.length ?? 0) * BYTES_PER_COUNTED_CHARACTER +
      (exposures?.length ?? 0) * BYTES_PER_CHARACTER,
    max: MAX_BYTES,
  });
  const newest = createTtlCache<Version | "changed">(REPLICA_LAG_MS, MAX_VERSIONS, clock);
  let writes = 0;
  return {
    get: (experimentId) => entries.get(experimentId),
    hasChanged: (experimentId) => newest.get(experimentId) === "changed",
    isOutdated(experimentId, summary) {
      const seen = newest.get(experimentId);
      if (seen === undefined || seen === "changed") return false;
      return summary === null || isOlder(versionOf(summary), seen);
    },
    beginRead() {
      const start = { at: clock(), writes };
      return (experimentId, summary) => {
        // A read that overlaps a write may return the row as it was before the write.
        if (start.writes !== writes) return;
        newest.set(experimentId, versionOf(summary));
        if (ttlMs > 0) entries.set(experimentId, summary, start.at);
      };
    },
    invalidate(changes) {
      writes += 1;
      if (changes === "any") return entries.clear();
      for (const experimentId of changes) {
        entries.delete(experimentId);
        newest.set(experimentId, "changed");
      }
    },
  };
}

/** The time of creation and the number of writes since. */
type Version = { createdAt: number; version: number };

function versionOf({ experiment, version }: StoredSummary): Version {
  return { createdAt: experiment.createdAt, version };
}

function isOlder(a: Version, b: Version): boolean {
  return a.createdAt < b.createdAt || (a.createdAt === b.createdAt && a.version < b.version);
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
  /**
   * Reads the summary from the nearest replica, and caches it. Reads from the primary after a write of this process, and
   * if the replica's row is older than one that this process has seen.
   */
  read(experimentId: string): Promise<StoredSummary | null>;
  /** Reads the summary from the primary, and caches it. */
  readOnPrimary(experimentId: string): Promise<StoredSummary | null>;
  /** Reads the summary and the API key with this hash in one statement, and caches the summary. */
  readWithApiKey(
    experimentId: string,
    sha256: string,
  ): Promise<{ summary: StoredSummary | null; apiKey: ApiKey | null }>;
};

export function summariesThrough(cache: SummaryCache, database: Database): Summaries {
  async function readOnPrimary(experimentId: string): Promise<StoredSummary | null> {
    const store = cache.beginRead();
    const summary = await getSummary(onPrimary(database), experimentId);
    if (summary !== null) store(experimentId, summary);
    return summary;
  }

  return {
    cached: cache.get,
    async read(experimentId) {
      if (cache.hasChanged(experimentId)) return readOnPrimary(experimentId);
      const store = cache.beginRead();
      const summary = await getSummary(database, experimentId);
      // Checked after the read: a write or another read may have come in between.
      if (cache.hasChanged(experimentId) || cache.isOutdated(experimentId, summary)) return readOnPrimary(experimentId);
      if (summary !== null) store(experimentId, summary);
      return summary;
    },
    readOnPrimary,
    async readWithApiKey(experimentId, sha256) {
      const store = cache.beginRead();
      const found = await getSummaryWithApiKey(database, experimentId, sha256);
      if (found.summary !== null) store(experimentId, found.summary);
      return found;
    },
  };
}
