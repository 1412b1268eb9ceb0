import { describe, expect, it } from "vitest";
import { createExclusiveSweep } from "../../src/refresh/exclusive-sweep.ts";

const MINUTE = 60_000;

/** Sweeps that end when the test says so, and a clock that it sets. */
function createWorld() {
  const world = {
    time: 0,
    sweeps: [] as { now: number; end: (done: boolean) => void; fail: (error: Error) => void }[],
  };
  const sweep = createExclusiveSweep(
    () => world.time,
    (now) => {
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      world.sweeps.push({ now, end: resolve, fail: reject });
      return promise;
    },
  );
  return { world, sweep };
}

describe("a sweep that comes while another is under way", () => {
  it("shares its end, well or not", async () => {
    const { world, sweep } = createWorld();
    for (const done of [true, false]) {
      const both = Promise.all([sweep(1), sweep(2)]);
      world.sweeps.at(-1)?.end(done);
      expect(await both).toEqual([done, done]);
    }
    expect(world.sweeps.map(({ now }) => now)).toEqual([1, 1]);
  });

  it("shares its exception, and the next begins anew", async () => {
    const { world, sweep } = createWorld();
    const both = Promise.allSettled([sweep(1), sweep(2)]);
    world.sweeps[0]?.fail(new Error("boom"));
    expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    void sweep(3);
    expect(world.sweeps.map(({ now }) => now)).toEqual([1, 3]);
  });

  it("does not wait for one that hangs longer than a sweep may take, nor does what that does later disturb", async () => {
    const { world, sweep } = createWorld();
    void sweep(1);
    world.time = 15 * MINUTE - 1;
    void sweep(2);
    expect(world.sweeps).toHaveLength(1);
    world.time = 15 * MINUTE;
    const second = sweep(3);
    expect(world.sweeps.map(({ now }) => now)).toEqual([1, 3]);
    world.sweeps[0]?.end(true);
    await Promise.resolve();
    const third = sweep(4);
    expect(world.sweeps).toHaveLength(2);
    world.sweeps[1]?.end(true);
    expect(await Promise.all([second, third])).toEqual([true, true]);
  });
});
