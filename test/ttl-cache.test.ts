import { beforeEach, describe, expect, it } from "vitest";
import { createTtlCache } from "../src/ttl-cache.ts";

const KEPT = 1000;
let now: number;
beforeEach(() => {
  now = Date.UTC(2026, 5, 1);
});

const start = (most = 3) => createTtlCache<string>(KEPT, most, () => now);
const known = (memory: ReturnType<typeof start>, keys: string) =>
  [...keys].filter((key) => memory.get(key) !== undefined).join("");

describe("a short memory", () => {
  it("knows a value until its time is over", () => {
    const memory = start();
    memory.set("a", "value");
    for (const step of [0, KEPT - 1]) {
      now += step;
      expect(memory.get("a")).toBe("value");
      expect(memory.get("b")).toBeUndefined();
    }
    now += 1;
    expect(memory.get("a")).toBeUndefined();
  });

  it("does not know a value from a time that is yet to come", () => {
    const memory = start();
    memory.set("a", "value");
    now -= 1;
    expect(memory.get("a")).toBeUndefined();
  });

  it("never again knows what it once had forgotten, though the clock goes back", () => {
    const memory = start();
    memory.set("a", "value");
    now += KEPT;
    expect(memory.get("a")).toBeUndefined();
    now -= KEPT;
    expect(memory.get("a")).toBeUndefined();
  });

  it("counts from when a value was set last, and knows the last", () => {
    const memory = start();
    memory.set("a", "first");
    now += KEPT - 1;
    memory.set("a", "second");
    now += KEPT - 1;
    expect(memory.get("a")).toBe("second");
    now += 1;
    expect(memory.get("a")).toBeUndefined();
  });

  it("holds so many and no more, and lets go of the oldest", () => {
    const memory = start(3);
    for (const key of "abc") memory.set(key, key);
    expect(known(memory, "abc")).toBe("abc");
    memory.set("d", "d");
    expect(known(memory, "abcd")).toBe("bcd");
    for (const key of "efg") memory.set(key, key);
    expect(known(memory, "abcdefg")).toBe("efg");
  });

  it("lets go of nothing when a value is set again, which then is the newest", () => {
    const memory = start(3);
    for (const key of "abca") memory.set(key, key);
    expect(known(memory, "abc")).toBe("abc");
    memory.set("d", "d");
    expect(known(memory, "abcd")).toBe("acd");
  });

  it("forgets when told to, and takes what was forgotten anew", () => {
    const memory = start();
    for (const key of "ab") memory.set(key, key);
    memory.delete("a");
    expect(known(memory, "ab")).toBe("b");
    memory.set("a", "again");
    expect(memory.get("a")).toBe("again");
  });
});

describe("a short memory told when a value was true", () => {
  it("counts from then", () => {
    const memory = start();
    memory.set("a", "value", now - 1);
    now += KEPT - 2;
    expect(memory.get("a")).toBe("value");
    now += 1;
    expect(memory.get("a")).toBeUndefined();
  });
});

describe("a short memory that weighs", () => {
  const startWeighing = (max: number) =>
    createTtlCache<string>(KEPT, 100, () => now, { weightOf: (value) => value.length, max });
  const keysOf = (memory: ReturnType<typeof startWeighing>) =>
    [..."abcdef"].filter((key) => memory.get(key) !== undefined).join("");

  it("holds so much and no more, and lets go of the oldest", () => {
    const memory = startWeighing(10);
    for (const key of "ab") memory.set(key, "12345");
    expect(keysOf(memory)).toBe("ab");
    memory.set("c", "1");
    expect(keysOf(memory)).toBe("bc");
    memory.set("d", "123456789");
    expect(keysOf(memory)).toBe("cd");
  });

  it("does not keep what alone weighs too much", () => {
    const memory = startWeighing(10);
    memory.set("a", "12345678901");
    expect(keysOf(memory)).toBe("");
    memory.set("b", "1234567890");
    expect(keysOf(memory)).toBe("b");
  });

  it("takes off what is set again, deleted, too old or cleared", () => {
    const memory = startWeighing(10);
    for (const value of ["1234567890", "12345", "1234567890", "12345"]) memory.set("a", value);
    memory.set("b", "12345");
    expect(keysOf(memory)).toBe("ab");
    memory.delete("a");
    memory.delete("a");
    memory.set("c", "12345");
    expect(keysOf(memory)).toBe("bc");
    now += KEPT;
    expect(keysOf(memory)).toBe("");
    for (const key of "de") memory.set(key, "12345");
    expect(keysOf(memory)).toBe("de");
    memory.clear();
    expect(keysOf(memory)).toBe("");
    for (const key of "ef") memory.set(key, "12345");
    expect(keysOf(memory)).toBe("ef");
  });
});
