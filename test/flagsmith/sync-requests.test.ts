import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createSyncRequests } from "../../src/flagsmith/sync-requests.ts";

const MINUTE = 60_000;

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: MINUTE }));
afterEach(() => vi.useRealTimers());

/** Syncs that take a second, at most one a minute. */
function countedSyncs() {
  const starts: number[] = [];
  const syncs = createSyncRequests(async () => {
    const wait = (starts.at(-1) ?? Number.NEGATIVE_INFINITY) + MINUTE - Date.now();
    if (wait > 0) return wait;
    starts.push(Date.now());
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return 0;
  });
  return { syncs, starts };
}

describe("requests of syncs", () => {
  it("start one at once, and share one after the minute however many they are", async () => {
    const { syncs, starts } = countedSyncs();
    for (let requests = 0; requests < 500; requests += 1) {
      syncs.request();
      await vi.advanceTimersByTimeAsync(100);
    }
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(starts).toEqual([MINUTE, expect.any(Number)]);
    expect((starts[1] ?? 0) - MINUTE).toBeGreaterThanOrEqual(MINUTE);
  });

  it("wait for the minute after a sweep's sync, which itself is skipped within it", async () => {
    const { syncs, starts } = countedSyncs();
    const first = syncs.run();
    await vi.advanceTimersByTimeAsync(1000);
    await first;
    await syncs.run();
    syncs.request();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(starts).toEqual([MINUTE, 2 * MINUTE]);
  });

  it("end with the sync in flight when the process stops", async () => {
    const { syncs, starts } = countedSyncs();
    syncs.request();
    syncs.request();
    const stopped = syncs.stop();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    await stopped;
    syncs.request();
    await syncs.run();
    expect(starts).toEqual([MINUTE]);
  });
});
