import { beforeEach, describe, expect, it } from "vitest";
import {
  type Clockwork,
  type ClockworkExperiment,
  DAY,
  FIRST_RETRY,
  HOUR,
  INTERVAL,
  iso,
  MINUTE,
  SECOND,
  SETTLE,
  useClockwork,
  YEAR,
} from "../support/clockwork.ts";

const NOW = Date.UTC(2026, 5, 1, 10, 30, 0, 500);
/** Early enough to be in the past even after the clock is set back by a year. */
const START = NOW - 400 * DAY;

let clockwork: Clockwork;
let experiment: ClockworkExperiment;
useClockwork(NOW, (setup) => {
  ({ clockwork, experiment } = setup);
});

const identities = async () => (await experiment.exposures()).exposures?.total_identities;

const jumps = [
  { jump: "an hour", by: HOUR },
  { jump: "a year", by: YEAR },
];

describe.each(jumps)("after the clock is set back by $jump", ({ by }) => {
  it("keeps as_of and computed_at, and counts correctly", async () => {
    await experiment.expose(START, NOW - 1);
    await experiment.put(START);
    const before = await experiment.exposures();
    expect(before).toMatchObject({ as_of: iso(NOW), computed_at: iso(NOW), exposures: { total_identities: 2 } });

    clockwork.jump(-by);
    await experiment.expose(NOW - 2, NOW);
    expect((await experiment.requestRefresh()).status).toBe(202);
    const after = await experiment.exposures();
    const unchanged = { as_of: before.as_of, computed_at: before.computed_at, status: "running", last_error_at: null };
    expect(after).toMatchObject({ ...unchanged, exposures: { total_identities: 3 } });
    const buckets = (response: typeof after) =>
      response.exposures.timeseries.points.map((point: Bucket) => point.bucket);
    expect(buckets(after)).toEqual(buckets(before));

    await experiment.expose(NOW - 3);
    expect(await clockwork.sweep()).toBe(true);
    expect(await experiment.exposures()).toMatchObject({ ...unchanged, exposures: { total_identities: 4 } });
  });

  it("advances as_of and computed_at again once the clock has caught up", async () => {
    await experiment.put(START);
    clockwork.jump(-by);
    await clockwork.sweep();
    clockwork.set(NOW + HOUR);
    await experiment.expose(NOW);
    await clockwork.sweep();
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(NOW + HOUR),
      computed_at: iso(NOW + HOUR),
      exposures: { total_identities: 1 },
    });
  });

  it("accepts a manual request, and then applies the minimum interval as usual", async () => {
    await experiment.put(START);
    expect((await experiment.requestRefresh()).status).toBe(202);
    clockwork.jump(-by);
    expect((await experiment.requestRefresh()).status).toBe(202);
    await clockwork.pass(100 * SECOND);
    const refused = await experiment.requestRefresh();
    expect(refused.status).toBe(429);
    expect(refused.headers.get("Retry-After")).toBe("200");
    await clockwork.pass(200 * SECOND - 1);
    expect((await experiment.requestRefresh()).headers.get("Retry-After")).toBe("1");
    await clockwork.pass(1);
    expect((await experiment.requestRefresh()).status).toBe(202);
  });

  it("serves a webhook after the minimum interval at the latest", async () => {
    await experiment.put(START);
    await experiment.sendWebhook();
    clockwork.jump(-by);
    await experiment.expose(START);
    expect((await experiment.sendWebhook()).json).toEqual({ accepted: [experiment.id], skipped: [] });
    await clockwork.pass(INTERVAL);
    expect(await experiment.exposures()).toMatchObject({
      refresh_requested_at: null,
      exposures: { total_identities: 1 },
    });
  });

  it("serves a postponed webhook after its remaining time", async () => {
    await experiment.put(START);
    await experiment.sendWebhook();
    await experiment.sendWebhook();
    await experiment.expose(START);
    await clockwork.pass(100 * SECOND);
    clockwork.jump(-by);
    await clockwork.pass(200 * SECOND - 1);
    expect(await identities()).toBe(0);
    await clockwork.pass(1);
    expect(await experiment.exposures()).toMatchObject({
      refresh_requested_at: null,
      exposures: { total_identities: 1 },
    });
  });

  it("retries a failed refresh after its delay, and then after the following delays", async () => {
    await experiment.expose(NOW - 1);
    await experiment.put(START);
    const { queries } = clockwork.state;
    clockwork.state.fault = { kind: "timeout" };
    expect(await clockwork.sweep()).toBe(false);
    await clockwork.pass(SECOND);
    clockwork.jump(-by);
    await clockwork.pass(FIRST_RETRY - SECOND);
    expect(clockwork.state.queries).toBe(queries + 2);
    await clockwork.pass(3 * FIRST_RETRY);
    expect(clockwork.state.queries).toBe(queries + 3);
    expect((await experiment.exposures()).last_error_at).not.toBeNull();
    clockwork.state.fault = null;
    await clockwork.pass(9 * FIRST_RETRY);
    expect(await experiment.exposures()).toMatchObject({ last_error_at: null, as_of: iso(NOW) });
  });

  it("gives different responses different ETags", async () => {
    const texts = new Map<string, string>();
    const check = async () => {
      const { text, headers } = await experiment.get();
      const etag = headers.get("ETag") ?? "";
      expect(texts.get(etag) ?? text).toBe(text);
      texts.set(etag, text);
      const conditional = await clockwork.call("GET", `/v1/experiments/${experiment.id}/exposures`, undefined, {
        "If-None-Match": etag,
      });
      expect(conditional.status).toBe(304);
    };
    await experiment.put(START, NOW);
    await check();
    for (const offset of [-by, 0, -by, SETTLE]) {
      clockwork.set(NOW + offset);
      await check();
      await experiment.expose(NOW - 1);
      await clockwork.sweep();
      await check();
    }
    expect(new Set(texts.values()).size).toBeGreaterThanOrEqual(5);
  });

  it("gives an edit no updated_at before the one it replaces", async () => {
    await experiment.put(START);
    clockwork.jump(-by);
    const { created_at, updated_at } = (await experiment.put(START, null, { name: "renamed" })).json;
    expect({ created_at, updated_at }).toEqual({ created_at: iso(NOW), updated_at: iso(NOW) });
    clockwork.set(NOW + MINUTE);
    const later = (await experiment.put(START, null, { name: "again" })).json;
    expect(later).toMatchObject({ created_at: iso(NOW), updated_at: iso(NOW + MINUTE) });
  });
});

type Bucket = { bucket: string };

describe("after the clock is set back to before an experiment's start", () => {
  it("shows a draft with the old numbers, and does not refresh it until the clock has caught up", async () => {
    const start = NOW - MINUTE;
    await experiment.expose(start);
    await experiment.put(start);
    const before = await experiment.exposures();
    const { queries } = clockwork.state;
    clockwork.jump(-HOUR);
    expect(await experiment.exposures()).toEqual({ ...before, status: "draft" });
    expect((await experiment.requestRefresh()).status).toBe(409);
    expect((await experiment.sendWebhook()).json.skipped).toEqual([
      { experiment_id: experiment.id, reason: "not_started" },
    ]);
    expect(await clockwork.sweep()).toBe(true);
    expect(clockwork.state.queries).toBe(queries);
    expect(await experiment.exposures()).toEqual({ ...before, status: "draft" });

    clockwork.set(NOW + MINUTE);
    await clockwork.sweep();
    expect(await experiment.exposures()).toMatchObject({ status: "running", as_of: iso(NOW + MINUTE) });
  });

  it("serves a postponed webhook by the sweep after the clock has caught up", async () => {
    const start = NOW - MINUTE;
    await experiment.put(start);
    await experiment.sendWebhook();
    await experiment.sendWebhook();
    clockwork.jump(-HOUR);
    await clockwork.pass(INTERVAL);
    expect((await experiment.exposures()).refresh_requested_at).toBe(iso(NOW));
    clockwork.set(NOW + MINUTE);
    await clockwork.sweep();
    expect((await experiment.exposures()).refresh_requested_at).toBeNull();
  });
});

describe.each(jumps)("after the clock is set ahead by $jump and back again", ({ by }) => {
  it("keeps the later as_of until the clock has caught up, and counts correctly meanwhile", async () => {
    await experiment.expose(NOW - 1);
    await experiment.put(START);
    clockwork.jump(by);
    await clockwork.sweep();
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(NOW + by), computed_at: iso(NOW + by) });
    clockwork.jump(-by);

    await experiment.expose(NOW + SECOND);
    await clockwork.pass(MINUTE);
    expect((await experiment.requestRefresh()).status).toBe(202);
    expect(await experiment.exposures()).toMatchObject({
      status: "running",
      as_of: iso(NOW + by),
      computed_at: iso(NOW + by),
      exposures: { total_identities: 2 },
    });

    clockwork.set(NOW + by + HOUR);
    await clockwork.sweep();
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(NOW + by + HOUR),
      exposures: { total_identities: 2 },
    });
  });

  it("accepts a manual request after one made while the clock was ahead", async () => {
    await experiment.put(START);
    clockwork.jump(by);
    expect((await experiment.requestRefresh()).status).toBe(202);
    clockwork.jump(-by);
    expect((await experiment.requestRefresh()).status).toBe(202);
    expect((await experiment.requestRefresh()).headers.get("Retry-After")).toBe("300");
  });

  it("serves a postponed webhook after its remaining time", async () => {
    await experiment.put(START);
    await experiment.sendWebhook();
    await experiment.sendWebhook();
    clockwork.jump(by);
    await clockwork.pass(100 * SECOND);
    clockwork.jump(-by);
    await experiment.expose(START);
    await clockwork.pass(200 * SECOND);
    expect(await experiment.exposures()).toMatchObject({
      refresh_requested_at: null,
      exposures: { total_identities: 1 },
    });
  });

  it("serves a webhook received while the clock was ahead after the minimum interval at the latest", async () => {
    await experiment.put(START);
    clockwork.jump(by);
    await experiment.sendWebhook();
    await experiment.sendWebhook();
    clockwork.jump(-by);
    await experiment.expose(START);
    await clockwork.pass(INTERVAL);
    expect((await experiment.exposures()).refresh_requested_at).toBeNull();
    expect(await identities()).toBe(1);
  });

  it("shows a draft that seemed to have started as a draft again, and counts it from its start", async () => {
    const start = NOW + 10 * MINUTE;
    await experiment.put(start);
    clockwork.jump(by);
    await clockwork.sweep();
    expect(await experiment.exposures()).toMatchObject({ status: "running", exposures: { total_identities: 0 } });
    clockwork.jump(-by);
    expect((await experiment.exposures()).status).toBe("draft");
    expect((await experiment.requestRefresh()).status).toBe(409);

    await experiment.expose(start - 1, start);
    await clockwork.pass(20 * MINUTE);
    await clockwork.sweep();
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
    clockwork.jump(by);
    await clockwork.sweep();
    expect(await experiment.exposures()).toMatchObject({ status: "completed", is_final: true, as_of: iso(end) });
    clockwork.jump(-by);
  });

  it("stays unchanged, like any final experiment", async () => {
    const before = await experiment.exposures();
    await experiment.expose(NOW - 1);
    expect((await experiment.requestRefresh()).status).toBe(409);
    await clockwork.sweep();
    expect((await experiment.exposures()).exposures).toEqual(before.exposures);
  });

  it("is recomputed after an edit that does not change its numbers", async () => {
    await experiment.expose(NOW - 1);
    await experiment.put(START, end, { name: "renamed" });
    expect(await experiment.exposures()).toMatchObject({ is_final: false, exposures: { total_identities: 1 } });
  });

  it("is refreshed after an edit, and becomes final with all events once its end has really settled", async () => {
    await experiment.put(START, end);
    await experiment.expose(end - 1, end);
    clockwork.set(end + SETTLE - 1);
    await clockwork.sweep();
    expect(await experiment.exposures()).toMatchObject({ is_final: false, exposures: { total_identities: 1 } });
    await experiment.expose(end - 2);
    clockwork.set(end + SETTLE);
    await clockwork.sweep();
    const final = await experiment.exposures();
    expect(final).toMatchObject({ status: "completed", is_final: true, exposures: { total_identities: 2 } });
    await clockwork.sweep(end + DAY);
    expect(await experiment.exposures()).toEqual(final);
  });
});
