import { describe, expect, it } from "vitest";
import { createExclusiveSweep } from "../../src/refresh/exclusive-sweep.ts";

const MINUTE = 60_000;

/** An exclusive sweep whose inner sweeps and clock the test controls. */
function createHarness() {
  const state = {
    time: 0,
    sweeps: [] as { now: number; resolve: (done: boolean) => void; reject: (error: Error) => void }[],
  };
  const sweep = createExclusiveSweep(
    () => state.time,
    (now) => {
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      state.sweeps.push({ now, resolve, reject });
      return promise;
    },
  );
  return { state, sweep };
}

describe("createExclusiveSweep", () => {
  it("shares the result of the sweep in flight, true or false", async () => {
    const { state, sweep } = createHarness();
    for (const done of [true, false]) {
      const both = Promise.all([sweep(1), sweep(2)]);
      state.sweeps.at(-1)?.resolve(done);
      expect(await both).toEqual([done, done]);
    }
    expect(state.sweeps.map(({ now }) => now)).toEqual([1, 1]);
  });

  it("shares the exception of the sweep in flight, and starts a new sweep afterwards", async () => {
    const { state, sweep } = createHarness();
    const both = Promise.allSettled([sweep(1), sweep(2)]);
    state.sweeps[0]?.reject(new Error("boom"));
    expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    void sweep(3);
    expect(state.sweeps.map(({ now }) => now)).toEqual([1, 3]);
  });

  it("starts a new sweep beside one that hangs for 15 minutes, and ignores the end of the old one", async () => {
    const { state, sweep } = createHarness();
    void sweep(1);
    state.time = 15 * MINUTE - 1;
    void sweep(2);
    expect(state.sweeps).toHaveLength(1);
    state.time = 15 * MINUTE;
    const second = sweep(3);
    expect(state.sweeps.map(({ now }) => now)).toEqual([1, 3]);
    state.sweeps[0]?.resolve(true);
    await Promise.resolve();
    const third = sweep(4);
    expect(state.sweeps).toHaveLength(2);
    state.sweeps[1]?.resolve(true);
    expect(await Promise.all([second, third])).toEqual([true, true]);
  });
});
