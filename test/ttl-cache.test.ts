import { beforeEach, describe, expect, it } from "vitest";
import { createTtlCache } from "../src/ttl-cache.ts";

const TTL = 1000;
let now: number;
beforeEach(() => {
  now = Date.UTC(2026, 5, 1);
});

const createCache = (maxEntries = 3) => createTtlCache<string>(TTL, maxEntries, () => now);
const cachedKeys = (cache: ReturnType<typeof createCache>, keys: string) =>
  [...keys].filter((key) => cache.get(key) !== undefined).join("");

describe("createTtlCache", () => {
  it("returns a value until its TTL expires", () => {
    const cache = createCache();
    cache.set("a", "value");
    for (const step of [0, TTL - 1]) {
      now += step;
      expect(cache.get("a")).toBe("value");
      expect(cache.get("b")).toBeUndefined();
    }
    now += 1;
    expect(cache.get("a")).toBeUndefined();
  });

  it("does not return a value from the future", () => {
    const cache = createCache();
    cache.set("a", "value");
    now -= 1;
    expect(cache.get("a")).toBeUndefined();
  });

  it("does not return an expired value when the clock is set back", () => {
    const cache = createCache();
    cache.set("a", "value");
    now += TTL;
    expect(cache.get("a")).toBeUndefined();
    now -= TTL;
    expect(cache.get("a")).toBeUndefined();
  });

  it("returns the last value set, and restarts its TTL", () => {
    const cache = createCache();
    cache.set("a", "first");
    now += TTL - 1;
    cache.set("a", "second");
    now += TTL - 1;
    expect(cache.get("a")).toBe("second");
    now += 1;
    expect(cache.get("a")).toBeUndefined();
  });

  it("drops the oldest entries beyond the maximum number", () => {
    const cache = createCache(3);
    for (const key of "abc") cache.set(key, key);
    expect(cachedKeys(cache, "abc")).toBe("abc");
    cache.set("d", "d");
    expect(cachedKeys(cache, "abcd")).toBe("bcd");
    for (const key of "efg") cache.set(key, key);
    expect(cachedKeys(cache, "abcdefg")).toBe("efg");
  });

  it("makes an entry that is set again the newest, and drops none", () => {
    const cache = createCache(3);
    for (const key of "abca") cache.set(key, key);
    expect(cachedKeys(cache, "abc")).toBe("abc");
    cache.set("d", "d");
    expect(cachedKeys(cache, "abcd")).toBe("acd");
  });

  it("deletes an entry, which can be set again", () => {
    const cache = createCache();
    for (const key of "ab") cache.set(key, key);
    cache.delete("a");
    expect(cachedKeys(cache, "ab")).toBe("b");
    cache.set("a", "again");
    expect(cache.get("a")).toBe("again");
  });
});

describe("createTtlCache › set with a time", () => {
  it("counts the TTL from that time", () => {
    const cache = createCache();
    cache.set("a", "value", now - 1);
    now += TTL - 2;
    expect(cache.get("a")).toBe("value");
    now += 1;
    expect(cache.get("a")).toBeUndefined();
  });
});

describe("createTtlCache › weight limit", () => {
  const createWeightedCache = (max: number) =>
    createTtlCache<string>(TTL, 100, () => now, { weightOf: (value) => value.length, max });
  const keysOf = (cache: ReturnType<typeof createWeightedCache>) =>
    [..."abcdef"].filter((key) => cache.get(key) !== undefined).join("");

  it("drops the oldest entries beyond the maximum weight", () => {
    const cache = createWeightedCache(10);
    for (const key of "ab") cache.set(key, "12345");
    expect(keysOf(cache)).toBe("ab");
    cache.set("c", "1");
    expect(keysOf(cache)).toBe("bc");
    cache.set("d", "123456789");
    expect(keysOf(cache)).toBe("cd");
  });

  it("does not cache a value above the maximum weight", () => {
    const cache = createWeightedCache(10);
    cache.set("a", "12345678901");
    expect(keysOf(cache)).toBe("");
    cache.set("b", "1234567890");
    expect(keysOf(cache)).toBe("b");
  });

  it("subtracts the weight of replaced, deleted, expired and cleared values", () => {
    const cache = createWeightedCache(10);
    for (const value of ["1234567890", "12345", "1234567890", "12345"]) cache.set("a", value);
    cache.set("b", "12345");
    expect(keysOf(cache)).toBe("ab");
    cache.delete("a");
    cache.delete("a");
    cache.set("c", "12345");
    expect(keysOf(cache)).toBe("bc");
    now += TTL;
    expect(keysOf(cache)).toBe("");
    for (const key of "de") cache.set(key, "12345");
    expect(keysOf(cache)).toBe("de");
    cache.clear();
    expect(keysOf(cache)).toBe("");
    for (const key of "ef") cache.set(key, "12345");
    expect(keysOf(cache)).toBe("ef");
  });
});
