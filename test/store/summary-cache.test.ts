import { beforeEach, describe, expect, it } from "vitest";
import type { StoredSummary } from "../../src/store/summaries.ts";
import { createSummaryCache } from "../../src/store/summary-cache.ts";

const KEPT = 5000;
let now: number;
beforeEach(() => {
  now = Date.UTC(2026, 5, 1);
});

const start = (keptMs = KEPT) => createSummaryCache(keptMs, () => now);
type Recent = ReturnType<typeof start>;

function summaryOf(exposures: string | null = null): StoredSummary {
  const times = { startedAt: 0, endedAt: null, asOf: null, computedAt: null };
  const marks = { lastErrorAt: null, refreshRequestedAt: null, isFinal: false };
  return { environmentKey: "env", version: "m1x-1", ...times, ...marks, exposures };
}

const read = (recent: Recent, id: string, summary = summaryOf()) => recent.beginRead()(id, summary);
const countKept = (recent: Recent, ids: readonly string[]) => ids.filter((id) => recent.get(id) !== undefined).length;
const ids = Array.from({ length: 1200 }, (_, index) => `experiment-${index}`);

describe("recent summaries", () => {
  it("are known until their time is over, counted from when their read began", () => {
    const recent = start();
    const keep = recent.beginRead();
    now += 2000;
    const summary = summaryOf();
    keep("a", summary);
    now += KEPT - 2001;
    expect(recent.get("a")).toBe(summary);
    expect(recent.get("b")).toBeUndefined();
    now += 1;
    expect(recent.get("a")).toBeUndefined();
  });

  it("are none when they are to be kept for no time", () => {
    const recent = start(0);
    read(recent, "a");
    expect(recent.get("a")).toBeUndefined();
  });

  it("are a thousand at most, the newest", () => {
    const recent = start();
    for (const id of ids) read(recent, id);
    expect(countKept(recent, ids)).toBe(1000);
    expect(countKept(recent, ids.slice(-1000))).toBe(1000);
  });

  it("take 16 MiB at most, however large they are", () => {
    const recent = start();
    const exposures = "x".repeat(100_000);
    for (const id of ids) read(recent, id, summaryOf(exposures));
    const kept = countKept(recent, ids);
    // Each counts with its text and the answer's, of two bytes a character.
    expect(kept * 4 * exposures.length).toBeLessThanOrEqual(16 * 2 ** 20);
    expect(kept).toBeGreaterThan(35);
  });

  it("hold one as large as a row can be", () => {
    const recent = start();
    read(recent, "a", summaryOf("x".repeat(1_900_000)));
    expect(recent.get("a")).toBeDefined();
  });
});

describe("what has changed", () => {
  it("is forgotten, and nothing else", () => {
    const recent = start();
    for (const id of ["a", "b", "c"]) read(recent, id);
    recent.invalidate(["a", "c", "unknown"]);
    expect(countKept(recent, ["a", "b", "c"])).toBe(1);
    expect(recent.get("b")).toBeDefined();
  });

  it("is all forgotten if nobody can tell what it was", () => {
    const recent = start();
    for (const id of ["a", "b"]) read(recent, id);
    recent.invalidate("any");
    expect(countKept(recent, ["a", "b"])).toBe(0);
  });

  it.each([[["a"]], ["any" as const]])("is not brought back by a read that began before (%j)", (changed) => {
    const recent = start();
    const late = recent.beginRead();
    recent.invalidate(changed);
    const next = recent.beginRead();
    late("a", summaryOf("old"));
    expect(recent.get("a")).toBeUndefined();
    const summary = summaryOf("new");
    next("a", summary);
    late("a", summaryOf("old"));
    expect(recent.get("a")).toBe(summary);
  });
});
