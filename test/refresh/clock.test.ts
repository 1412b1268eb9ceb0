import { beforeEach, describe, expect, it } from "vitest";
import {
  type Clockwork,
  type ClockworkExperiment,
  DAY,
  eachInItsWorld,
  FIRST_RETRY,
  HOUR,
  INTERVAL,
  iso,
  MINUTE,
  SECOND,
  SETTLE,
  YEAR,
} from "../support/clockwork.ts";

const NOW = Date.UTC(2026, 5, 1, 10, 30, 0, 500);
/** So long ago that a clock which goes back by a year is still after it. */
const START = NOW - 400 * DAY;

let world: Clockwork;
let experiment: ClockworkExperiment;
eachInItsWorld(NOW, (made) => {
  ({ world, experiment } = made);
});

const identities = async () => (await experiment.exposures()).exposures?.total_identities;

const jumps = [
  { jump: "an hour", by: HOUR },
  { jump: "a year", by: YEAR },
];

describe.each(jumps)("when the clock goes back by $jump", ({ by }) => {
  it("as_of and computed_at stay, and the numbers stay right", async () => {
    await experiment.expose(START, NOW - 1);
    await experiment.put(START);
    const before = await experiment.exposures();
    expect(before).toMatchObject({ as_of: iso(NOW), computed_at: iso(NOW), exposures: { total_identities: 2 } });

    world.jump(-by);
    await experiment.expose(NOW - 2, NOW);
    expect((await experiment.call()).status).toBe(202);
    const after = await experiment.exposures();
    const same = { as_of: before.as_of, computed_at: before.computed_at, status: "running", last_error_at: null };
    expect(after).toMatchObject({ ...same, exposures: { total_identities: 3 } });
    const buckets = (answer: typeof after) => answer.exposures.timeseries.points.map((point: Bucket) => point.bucket);
    expect(buckets(after)).toEqual(buckets(before));

    await experiment.expose(NOW - 3);
    expect(await world.sweep()).toBe(true);
    expect(await experiment.exposures()).toMatchObject({ ...same, exposures: { total_identities: 4 } });
  });

  it("they go on once the clock has caught up", async () => {
    await experiment.put(START);
    world.jump(-by);
    await world.sweep();
    world.set(NOW + MINUTE);
    await experiment.expose(NOW);
    await world.sweep();
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(NOW + MINUTE),
      computed_at: iso(NOW + MINUTE),
      exposures: { total_identities: 1 },
    });
  });

  it("nobody who calls is locked out, and the minimum interval holds as it always does", async () => {
    await experiment.put(START);
    expect((await experiment.call()).status).toBe(202);
    world.jump(-by);
    expect((await experiment.call()).status).toBe(202);
    await world.pass(100 * SECOND);
    const refused = await experiment.call();
    expect(refused.status).toBe(429);
    expect(refused.headers.get("Retry-After")).toBe("200");
    await world.pass(200 * SECOND - 1);
    expect((await experiment.call()).headers.get("Retry-After")).toBe("1");
    await world.pass(1);
    expect((await experiment.call()).status).toBe(202);
  });

  it("a webhook is served, after the minimum interval at the latest", async () => {
    await experiment.put(START);
    await experiment.hint();
    world.jump(-by);
    await experiment.expose(START);
    expect((await experiment.hint()).json).toEqual({ accepted: [experiment.id], skipped: [] });
    await world.pass(INTERVAL);
    expect(await experiment.exposures()).toMatchObject({
      refresh_requested_at: null,
      exposures: { total_identities: 1 },
    });
  });

  it("a webhook that waited before is served when its time has passed", async () => {
    await experiment.put(START);
    await experiment.hint();
    await experiment.hint();
    await experiment.expose(START);
    await world.pass(100 * SECOND);
    world.jump(-by);
    await world.pass(200 * SECOND - 1);
    expect(await identities()).toBe(0);
    await world.pass(1);
    expect(await experiment.exposures()).toMatchObject({
      refresh_requested_at: null,
      exposures: { total_identities: 1 },
    });
  });

  it("what failed before is retried when its time has passed, and so are the retries that follow", async () => {
    await experiment.put(START);
    const { queries } = world.state;
    world.state.fault = { kind: "timeout" };
    expect(await world.sweep()).toBe(false);
    await world.pass(SECOND);
    world.jump(-by);
    await world.pass(FIRST_RETRY - SECOND);
    expect(world.state.queries).toBe(queries + 2);
    await world.pass(3 * FIRST_RETRY);
    expect(world.state.queries).toBe(queries + 3);
    expect((await experiment.exposures()).last_error_at).not.toBeNull();
    world.state.fault = null;
    await world.pass(9 * FIRST_RETRY);
    expect(await experiment.exposures()).toMatchObject({ last_error_at: null, as_of: iso(NOW) });
  });

  it("no two answers that differ have the same ETag", async () => {
    const texts = new Map<string, string>();
    const look = async () => {
      const { text, headers } = await experiment.get();
      const etag = headers.get("ETag") ?? "";
      expect(texts.get(etag) ?? text).toBe(text);
      texts.set(etag, text);
      const known = await world.call("GET", `/v1/experiments/${experiment.id}/exposures`, undefined, {
        "If-None-Match": etag,
      });
      expect(known.status).toBe(304);
    };
    await experiment.put(START, NOW);
    await look();
    for (const to of [-by, 0, -by, SETTLE]) {
      world.set(NOW + to);
      await look();
      await experiment.expose(NOW - 1);
      await world.sweep();
      await look();
    }
    expect(new Set(texts.values()).size).toBeGreaterThanOrEqual(5);
  });

  it("an edit is not older than what it edits", async () => {
    await experiment.put(START);
    world.jump(-by);
    const { created_at, updated_at } = (await experiment.put(START, null, { name: "renamed" })).json;
    expect({ created_at, updated_at }).toEqual({ created_at: iso(NOW), updated_at: iso(NOW) });
    world.set(NOW + MINUTE);
    const later = (await experiment.put(START, null, { name: "again" })).json;
    expect(later).toMatchObject({ created_at: iso(NOW), updated_at: iso(NOW + MINUTE) });
  });
});

type Bucket = { bucket: string };

describe("when the clock goes back behind an experiment's start", () => {
  it("it is a draft with the numbers it had, left alone until the clock has caught up", async () => {
    const start = NOW - MINUTE;
    await experiment.expose(start);
    await experiment.put(start);
    const before = await experiment.exposures();
    const { queries } = world.state;
    world.jump(-HOUR);
    expect(await experiment.exposures()).toEqual({ ...before, status: "draft" });
    expect((await experiment.call()).status).toBe(409);
    expect((await experiment.hint()).json.skipped).toEqual([{ experiment_id: experiment.id, reason: "not_started" }]);
    expect(await world.sweep()).toBe(true);
    expect(world.state.queries).toBe(queries);
    expect(await experiment.exposures()).toEqual({ ...before, status: "draft" });

    world.set(NOW + MINUTE);
    await world.sweep();
    expect(await experiment.exposures()).toMatchObject({ status: "running", as_of: iso(NOW + MINUTE) });
  });

  it("a webhook that waited is not forgotten: the sweep serves it when the clock has caught up", async () => {
    const start = NOW - MINUTE;
    await experiment.put(start);
    await experiment.hint();
    await experiment.hint();
    world.jump(-HOUR);
    await world.pass(INTERVAL);
    expect((await experiment.exposures()).refresh_requested_at).toBe(iso(NOW));
    world.set(NOW + MINUTE);
    await world.sweep();
    expect((await experiment.exposures()).refresh_requested_at).toBeNull();
  });
});

describe.each(jumps)("when the clock goes forth by $jump and back again", ({ by }) => {
  it("as_of stays ahead until the clock has caught up, and the numbers stay right meanwhile", async () => {
    await experiment.expose(NOW - 1);
    await experiment.put(START);
    world.jump(by);
    await world.sweep();
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(NOW + by), computed_at: iso(NOW + by) });
    world.jump(-by);

    await experiment.expose(NOW + SECOND);
    await world.pass(MINUTE);
    expect((await experiment.call()).status).toBe(202);
    expect(await experiment.exposures()).toMatchObject({
      status: "running",
      as_of: iso(NOW + by),
      computed_at: iso(NOW + by),
      exposures: { total_identities: 2 },
    });

    world.set(NOW + by + MINUTE);
    await world.sweep();
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(NOW + by + MINUTE),
      exposures: { total_identities: 2 },
    });
  });

  it("nobody who calls is locked out by a call that was made ahead", async () => {
    await experiment.put(START);
    world.jump(by);
    expect((await experiment.call()).status).toBe(202);
    world.jump(-by);
    expect((await experiment.call()).status).toBe(202);
    expect((await experiment.call()).headers.get("Retry-After")).toBe("300");
  });

  it("a webhook that waits is served when its time has passed", async () => {
    await experiment.put(START);
    await experiment.hint();
    await experiment.hint();
    world.jump(by);
    await world.pass(100 * SECOND);
    world.jump(-by);
    await experiment.expose(START);
    await world.pass(200 * SECOND);
    expect(await experiment.exposures()).toMatchObject({
      refresh_requested_at: null,
      exposures: { total_identities: 1 },
    });
  });

  it("a webhook that came ahead is served after the minimum interval at the latest", async () => {
    await experiment.put(START);
    world.jump(by);
    await experiment.hint();
    await experiment.hint();
    world.jump(-by);
    await experiment.expose(START);
    await world.pass(INTERVAL);
    expect((await experiment.exposures()).refresh_requested_at).toBeNull();
    expect(await identities()).toBe(1);
  });

  it("a draft that seemed to have started is one again, and is counted from its start on", async () => {
    const start = NOW + 10 * MINUTE;
    await experiment.put(start);
    world.jump(by);
    await world.sweep();
    expect(await experiment.exposures()).toMatchObject({ status: "running", exposures: { total_identities: 0 } });
    world.jump(-by);
    expect((await experiment.exposures()).status).toBe("draft");
    expect((await experiment.call()).status).toBe(409);

    await experiment.expose(start - 1, start);
    await world.pass(20 * MINUTE);
    await world.sweep();
    expect(await experiment.exposures()).toMatchObject({
      status: "running",
      as_of: iso(NOW + by),
      exposures: { total_identities: 1 },
    });
  });
});

describe.each([
  { jump: "a day", by: DAY },
  { jump: "a year", by: YEAR },
])("an experiment that became final while the clock was ahead by $jump", ({ by }) => {
  const end = NOW + 2 * HOUR;

  beforeEach(async () => {
    await experiment.put(START, end);
    world.jump(by);
    await world.sweep();
    expect(await experiment.exposures()).toMatchObject({ status: "completed", is_final: true, as_of: iso(end) });
    world.jump(-by);
  });

  it("stays as it is, as all that is final does", async () => {
    const before = await experiment.exposures();
    await experiment.expose(NOW - 1);
    expect((await experiment.call()).status).toBe(409);
    await world.sweep();
    expect((await experiment.exposures()).exposures).toEqual(before.exposures);
  });

  it("is computed again by an edit that changes no number", async () => {
    await experiment.expose(NOW - 1);
    await experiment.put(START, end, { name: "renamed" });
    expect(await experiment.exposures()).toMatchObject({ is_final: false, exposures: { total_identities: 1 } });
  });

  it("is then refreshed again, and final with all its events when its end has really passed and settled", async () => {
    await experiment.put(START, end);
    await experiment.expose(end - 1, end);
    world.set(end + SETTLE - 1);
    await world.sweep();
    expect(await experiment.exposures()).toMatchObject({ is_final: false, exposures: { total_identities: 1 } });
    await experiment.expose(end - 2);
    world.set(end + SETTLE);
    await world.sweep();
    const final = await experiment.exposures();
    expect(final).toMatchObject({ status: "completed", is_final: true, exposures: { total_identities: 2 } });
    await world.sweep(end + DAY);
    expect(await experiment.exposures()).toEqual(final);
  });
});
