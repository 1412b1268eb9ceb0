import { describe, expect, it } from "vitest";
import { createCoordinator } from "../../src/refresh/coordinator.ts";
import type { RefreshOutcome } from "../../src/refresh/refresh-outcome.ts";

const REFRESHED: RefreshOutcome = { status: "refreshed" };
const FAILED: RefreshOutcome = { status: "failed", kind: "missing_table", retryAt: null };
const START = Date.UTC(2026, 5, 1);

/** Lets all pending promise callbacks run. */
const flush = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A coordinator whose refreshes the test settles. */
function createHarness() {
  const attempts: { now: number; resolve: (outcome: RefreshOutcome) => void }[] = [];
  const state = { inFlight: 0, maxInFlight: 0 };
  const refresh = createCoordinator(async (now) => {
    const { promise, resolve } = Promise.withResolvers<RefreshOutcome>();
    attempts.push({ now, resolve });
    state.inFlight += 1;
    state.maxInFlight = Math.max(state.maxInFlight, state.inFlight);
    const outcome = await promise;
    state.inFlight -= 1;
    return outcome;
  });
  async function settle(outcome: RefreshOutcome): Promise<void> {
    attempts.at(-1)?.resolve(outcome);
    await flush();
  }
  return { refresh, settle, state, attempts, times: () => attempts.map(({ now }) => now) };
}

describe("a coordinator", () => {
  it("starts at once with the caller's now, and returns the outcome", async () => {
    const { refresh, settle, times } = createHarness();
    const outcome = refresh(START + 7);
    expect(times()).toEqual([START + 7]);
    await settle(FAILED);
    expect(await outcome).toEqual(FAILED);
  });

  it("never runs twice at once: callers during a refresh share one queued refresh, with their largest now", async () => {
    const { refresh, settle, state, times } = createHarness();
    const first = refresh(START);
    const others = [5, 9, 7].map((later) => refresh(START + later));
    await flush();
    expect(times()).toEqual([START]);
    await settle(REFRESHED);
    expect(await first).toEqual(REFRESHED);
    expect(times()).toEqual([START, START + 9]);
    await settle(FAILED);
    expect(await Promise.all(others)).toEqual([FAILED, FAILED, FAILED]);
    expect(times()).toHaveLength(2);
    expect(state.maxInFlight).toBe(1);
  });

  it("takes the now of a queued refresh from its own callers, even if the refresh in flight has a larger one", async () => {
    const { refresh, settle, times } = createHarness();
    void refresh(START + 100);
    void refresh(START + 1);
    await settle(REFRESHED);
    expect(times()).toEqual([START + 100, START + 1]);
    await settle(REFRESHED);
  });

  it("queues another refresh for a caller that arrives during the queued one", async () => {
    const { refresh, settle, times } = createHarness();
    void refresh(START);
    void refresh(START + 1);
    await settle(REFRESHED);
    const third = refresh(START + 2);
    await settle(REFRESHED);
    expect(times()).toEqual([START, START + 1, START + 2]);
    await settle(FAILED);
    expect(await third).toEqual(FAILED);
  });
});
