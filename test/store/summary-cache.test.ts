import { beforeEach, describe, expect, it } from "vitest";
import type { StoredSummary } from "../../src/store/summaries.ts";
import { createSummaryCache, type SummaryCache } from "../../src/store/summary-cache.ts";

const TTL = 5000;
let now: number;
beforeEach(() => {
  now = Date.UTC(2026, 5, 1);
});

const createCache = (ttlMs = TTL) => createSummaryCache(ttlMs, () => now);

function summaryOf(exposures: string | null = null): StoredSummary {
  const names = { id: "a", name: "a", environmentKey: "env", featureName: "a", variants: [], metrics: [] };
  const experiment = { ...names, startedAt: 0, endedAt: null, createdAt: 0, updatedAt: 0, weightsChangedAt: null };
  const times = { asOf: null, computedAt: null, lastErrorAt: null, refreshRequestedAt: null };
  return { experiment, version: 1, ...times, isFinal: false, isIdle: false, exposures, results: null };
}

const read = (cache: SummaryCache, id: string, summary = summaryOf()) => cache.beginRead()(id, summary);
const countCached = (cache: SummaryCache, ids: readonly string[]) =>
  ids.filter((id) => cache.get(id) !== undefined).length;
const ids = Array.from({ length: 1200 }, (_, index) => `experiment-${index}`);

describe("createSummaryCache", () => {
  it("returns a summary until its TTL expires, counted from the start of its read", () => {
    const cache = createCache();
    const store = cache.beginRead();
    now += 2000;
    const summary = summaryOf();
    store("a", summary);
    now += TTL - 2001;
    expect(cache.get("a")).toBe(summary);
    expect(cache.get("b")).toBeUndefined();
    now += 1;
    expect(cache.get("a")).toBeUndefined();
  });

  it("caches nothing with a TTL of 0", () => {
    const cache = createCache(0);
    read(cache, "a");
    expect(cache.get("a")).toBeUndefined();
  });

  it("holds the newest 1,000 summaries at most", () => {
    const cache = createCache();
    for (const id of ids) read(cache, id);
    expect(countCached(cache, ids)).toBe(1000);
    expect(countCached(cache, ids.slice(-1000))).toBe(1000);
  });

  it("holds 16 MiB at most", () => {
    const cache = createCache();
    const exposures = "x".repeat(100_000);
    for (const id of ids) read(cache, id, summaryOf(exposures));
    const cached = countCached(cache, ids);
    // Each summary counts with its own text and that of the response, at two bytes per character.
    expect(cached * 4 * exposures.length).toBeLessThanOrEqual(16 * 2 ** 20);
    expect(cached).toBeGreaterThan(35);
  });

  it("holds a summary of the maximum row size", () => {
    const cache = createCache();
    read(cache, "a", summaryOf("x".repeat(1_900_000)));
    expect(cache.get("a")).toBeDefined();
  });
});

describe("createSummaryCache › invalidate", () => {
  it("drops the given summaries and no others", () => {
    const cache = createCache();
    for (const id of ["a", "b", "c"]) read(cache, id);
    cache.invalidate(["a", "c", "unknown"]);
    expect(countCached(cache, ["a", "b", "c"])).toBe(1);
    expect(cache.get("b")).toBeDefined();
  });

  it('drops all summaries for "any"', () => {
    const cache = createCache();
    for (const id of ["a", "b"]) read(cache, id);
    cache.invalidate("any");
    expect(countCached(cache, ["a", "b"])).toBe(0);
  });

  it.each([[["a"]], ["any" as const]])(
    "discards the result of a read that began before the invalidation of %j",
    (changes) => {
      const cache = createCache();
      const storeEarlier = cache.beginRead();
      cache.invalidate(changes);
      const storeLater = cache.beginRead();
      storeEarlier("a", summaryOf("old"));
      expect(cache.get("a")).toBeUndefined();
      const summary = summaryOf("new");
      storeLater("a", summary);
      storeEarlier("a", summaryOf("old"));
      expect(cache.get("a")).toBe(summary);
    },
  );
});
