import { describe, expect, it } from "vitest";
import {
  type Clockwork,
  type ClockworkExperiment,
  DAY,
  eachInItsWorld,
  HOUR,
  INTERVAL,
  iso,
  MINUTE,
  SECOND,
} from "../support/clockwork.ts";

const NOW = Date.UTC(2026, 5, 20, 10, 30);
const START = NOW - 10 * DAY;

let world: Clockwork;
let experiment: ClockworkExperiment;
eachInItsWorld(NOW, (made) => {
  ({ world, experiment } = made);
});

describe("a sweep", () => {
  it("that was due before the clock's time has its numbers as of when it was due", async () => {
    await experiment.put(NOW + MINUTE);
    const due = NOW + 2 * MINUTE;
    world.set(due + 20 * SECOND);
    await experiment.expose(due - 1, due);
    await world.sweep(due);
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(due),
      computed_at: iso(due + 20 * SECOND),
      exposures: { total_identities: 1 },
    });
  });

  it("that is due after the clock's time has its numbers as of then, and was not computed before then", async () => {
    const due = NOW + 20 * SECOND;
    await experiment.put(START);
    await experiment.expose(due - 1, due);
    await world.sweep(due);
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(due),
      computed_at: iso(due),
      exposures: { total_identities: 1 },
    });
  });

  it("of the same time as the one before counts the late events, and as_of stays", async () => {
    await experiment.put(START);
    await experiment.expose(NOW - 1);
    const due = NOW + MINUTE;
    world.set(due);
    await world.sweep(due);
    const first = await experiment.get();
    await experiment.expose(NOW - 2);
    await world.sweep(due);
    const second = await experiment.get();
    expect(second.json).toMatchObject({ as_of: first.json.as_of, exposures: { total_identities: 2 } });
    expect(second.headers.get("ETag")).not.toBe(first.headers.get("ETag"));
  });

  it("of the same time, at the same moment, shares at most one further query", async () => {
    await experiment.put(START);
    const { queries } = world.state;
    expect(await Promise.all([1, 2, 3, 4].map(() => world.sweep(NOW)))).toEqual([true, true, true, true]);
    expect(world.state.queries).toBe(queries + 2);
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(NOW) });
  });

  it("from yesterday that is delivered late takes nothing back, and counts late events as of the newest time", async () => {
    await experiment.expose(NOW - 1);
    await experiment.put(START);
    await experiment.expose(NOW - 2);
    world.jump(MINUTE);
    expect(await world.sweep(NOW - DAY)).toBe(true);
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(NOW),
      computed_at: iso(NOW + MINUTE),
      exposures: { total_identities: 2 },
    });
  });

  it("from yesterday leaves alone what has only started today", async () => {
    world.state.fault = { kind: "bad_rows" };
    await experiment.put(NOW - HOUR);
    world.state.fault = null;
    expect(await world.sweep(NOW - DAY)).toBe(true);
    expect((await experiment.exposures()).exposures).toBeNull();
    await world.sweep();
    expect((await experiment.exposures()).as_of).toBe(iso(NOW));
  });

  it("from yesterday takes nothing back from what became final today", async () => {
    const end = NOW - 3 * HOUR;
    await experiment.expose(end - 1);
    await experiment.put(START, end);
    const final = await experiment.exposures();
    expect(final).toMatchObject({ as_of: iso(end), is_final: true, exposures: { total_identities: 1 } });
    await experiment.expose(end - 2);
    await world.sweep(NOW - DAY);
    expect(await experiment.exposures()).toEqual(final);
  });

  it("from before the end, delivered after it has settled, does not make the numbers of before the end final", async () => {
    const end = NOW + HOUR;
    await experiment.put(START, end);
    await experiment.expose(end - 1);
    world.set(end + 2 * HOUR);
    await world.sweep(end - MINUTE);
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(end - MINUTE), is_final: false });
    await world.sweep();
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(end),
      is_final: true,
      exposures: { total_identities: 1 },
    });
  });

  it("forgets a webhook's delivery no sooner than three days after it came", async () => {
    await experiment.put(START);
    await experiment.hint({ id: "delivered" });
    await world.pass(3 * MINUTE);
    const again = async () => (await experiment.hint({ id: "delivered", at: Date.now() })).json;
    await world.sweep(NOW + 3 * DAY);
    expect((await again()).skipped).toEqual([{ experiment_id: experiment.id, reason: "repeated" }]);
    await world.sweep(NOW + 3 * DAY + 1);
    expect((await again()).accepted).toEqual([experiment.id]);
  });
});

describe("a sweep that was due before somebody asked for a refresh", () => {
  const due = NOW + MINUTE;

  it.each(["hint", "call"] as const)("counts what was there when they asked: a %s", async (ask) => {
    await experiment.put(START);
    await experiment.hint();
    world.set(due + 10 * SECOND);
    await experiment.expose(due + 5 * SECOND);
    // It waits for its time, or for a retry, when the sweep comes.
    world.state.fault = { kind: "timeout" };
    expect((await experiment[ask]()).status).toBe(202);
    world.state.fault = null;
    world.jump(SECOND);
    await world.sweep(due);
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(due + 10 * SECOND),
      refresh_requested_at: null,
      last_error_at: null,
      exposures: { total_identities: 1 },
    });
  });

  it("counts an experiment that was edited to have started since", async () => {
    await experiment.put(START);
    world.set(due + 10 * SECOND);
    world.state.fault = { kind: "timeout" };
    await experiment.put(due - SECOND);
    world.state.fault = null;
    await experiment.expose(due + 5 * SECOND);
    await world.sweep(due);
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(due + 10 * SECOND),
      exposures: { total_identities: 1 },
    });
  });

  it("goes no further than the clock, though they asked while it was ahead", async () => {
    await experiment.put(START);
    world.jump(DAY);
    world.state.fault = { kind: "bad_rows" };
    await experiment.call();
    world.state.fault = null;
    world.set(NOW + MINUTE);
    await world.sweep(NOW);
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(NOW + MINUTE), refresh_requested_at: null });
  });
});

describe("between sweeps", () => {
  it("a webhook that waits is not lost to a sweep that was due before it came", async () => {
    await experiment.put(START);
    await experiment.hint();
    await world.pass(MINUTE);
    const due = Date.now() - 10 * SECOND;
    await experiment.expose(Date.now() - SECOND);
    expect((await experiment.hint()).status).toBe(202);
    await world.sweep(due);
    await world.pass(INTERVAL);
    expect(await experiment.exposures()).toMatchObject({
      refresh_requested_at: null,
      exposures: { total_identities: 1 },
    });
  });
});
