import { beforeEach, describe, expect, it } from "vitest";
import {
  DAY,
  FIRST_RETRY,
  HOUR,
  INTERVAL,
  iso,
  MINUTE,
  SECOND,
  SETTLE,
  type SimulatedExperiment,
  type SimulatedService,
  useSimulatedService,
  YEAR,
} from "../support/simulated-service.ts";

const NOW = Date.UTC(2026, 5, 1, 10, 30, 0, 500);
/** Early enough to be in the past even after the clock is set back by a year. */
const START = NOW - 400 * DAY;

let service: SimulatedService;
let experiment: SimulatedExperiment;
useSimulatedService(NOW, (setup) => {
  ({ service, experiment } = setup);
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

    service.jump(-by);
    await experiment.expose(NOW - 2, NOW);
    expect((await experiment.requestRefresh()).status).toBe(202);
    const after = await experiment.exposures();
    const unchanged = { as_of: before.as_of, computed_at: before.computed_at, status: "running", last_error_at: null };
    expect(after).toMatchObject({ ...unchanged, exposures: { total_identities: 3 } });
    const buckets = (response: typeof after) =>
      response.exposures.timeseries.points.map((point: Bucket) => point.bucket);
    expect(buckets(after)).toEqual(buckets(before));

    await experiment.expose(NOW - 3);
    expect(await service.sweep()).toBe(true);
    expect(await experiment.exposures()).toMatchObject({ ...unchanged, exposures: { total_identities: 4 } });
  });

  it("advances as_of and computed_at again once the clock has caught up", async () => {
    await experiment.put(START);
    service.jump(-by);
    await service.sweep();
    service.set(NOW + HOUR);
    await experiment.expose(NOW);
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(NOW + HOUR),
      computed_at: iso(NOW + HOUR),
      exposures: { total_identities: 1 },
    });
  });

  it("accepts a manual request, and then applies the minimum interval as usual", async () => {
    await experiment.put(START);
    expect((await experiment.requestRefresh()).status).toBe(202);
    service.jump(-by);
    expect((await experiment.requestRefresh()).status).toBe(202);
    await service.pass(100 * SECOND);
    const refused = await experiment.requestRefresh();
    expect(refused.status).toBe(429);
    expect(refused.headers.get("Retry-After")).toBe("200");
    await service.pass(200 * SECOND - 1);
    expect((await experiment.requestRefresh()).headers.get("Retry-After")).toBe("1");
    await service.pass(1);
    expect((await experiment.requestRefresh()).status).toBe(202);
  });

  it("serves a webhook after the minimum interval at the latest", async () => {
    await experiment.put(START);
    await experiment.sendWebhook();
    service.jump(-by);
    await experiment.expose(START);
    expect((await experiment.sendWebhook()).json).toEqual({ accepted: [experiment.id], skipped: [] });
    await service.pass(INTERVAL);
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
    await service.pass(100 * SECOND);
    service.jump(-by);
    await service.pass(200 * SECOND - 1);
    expect(await identities()).toBe(0);
    await service.pass(1);
    expect(await experiment.exposures()).toMatchObject({
      refresh_requested_at: null,
      exposures: { total_identities: 1 },
    });
  });

  it("retries a failed refresh after its delay, and then after the following delays", async () => {
    await experiment.expose(NOW - 1);
    await experiment.put(START);
    const { queries } = service.state;
    service.state.fault = { kind: "timeout" };
    expect(await service.sweep()).toBe(false);
    await service.pass(SECOND);
    service.jump(-by);
    await service.pass(FIRST_RETRY - SECOND);
    expect(service.state.queries).toBe(queries + 2);
    await service.pass(3 * FIRST_RETRY);
    expect(service.state.queries).toBe(queries + 3);
    expect((await experiment.exposures()).last_error_at).not.toBeNull();
    service.state.fault = null;
    await service.pass(9 * FIRST_RETRY);
    expect(await experiment.exposures()).toMatchObject({ last_error_at: null, as_of: iso(NOW) });
  });

  it("gives different responses different ETags", async () => {
    const texts = new Map<string, string>();
    const check = async () => {
      const { text, headers } = await experiment.get();
      const etag = headers.get("ETag") ?? "";
      expect(texts.get(etag) ?? text).toBe(text);
      texts.set(etag, text);
      const conditional = await service.call("GET", `/v1/experiments/${experiment.id}/exposures`, undefined, {
        "If-None-Match": etag,
      });
      expect(conditional.status).toBe(304);
    };
    await experiment.put(START, NOW);
    await check();
    for (const offset of [-by, 0, -by, SETTLE]) {
      service.set(NOW + offset);
      await check();
      await experiment.expose(NOW - 1);
      await service.sweep();
      await check();
    }
    expect(new Set(texts.values()).size).toBeGreaterThanOrEqual(5);
  });

  it("gives an edit no updated_at before the one it replaces", async () => {
    await experiment.put(START);
    service.jump(-by);
    const { created_at, updated_at } = (await experiment.put(START, null, { name: "renamed" })).json;
    expect({ created_at, updated_at }).toEqual({ created_at: iso(NOW), updated_at: iso(NOW) });
    service.set(NOW + MINUTE);
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
    const { queries } = service.state;
    service.jump(-HOUR);
    expect(await experiment.exposures()).toEqual({ ...before, status: "draft" });
    expect((await experiment.requestRefresh()).status).toBe(409);
    expect((await experiment.sendWebhook()).json.skipped).toEqual([
      { experiment_id: experiment.id, reason: "not_started" },
    ]);
    expect(await service.sweep()).toBe(true);
    expect(service.state.queries).toBe(queries);
    expect(await experiment.exposures()).toEqual({ ...before, status: "draft" });

    service.set(NOW + MINUTE);
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({ status: "running", as_of: iso(NOW + MINUTE) });
  });

  it("serves a postponed webhook by the sweep after the clock has caught up", async () => {
    const start = NOW - MINUTE;
    await experiment.put(start);
    await experiment.sendWebhook();
    await experiment.sendWebhook();
    service.jump(-HOUR);
    await service.pass(INTERVAL);
    expect((await experiment.exposures()).refresh_requested_at).toBe(iso(NOW));
    service.set(NOW + MINUTE);
    await service.sweep();
    expect((await experiment.exposures()).refresh_requested_at).toBeNull();
  });
});

describe.each(jumps)("after the clock is set ahead by $jump and back again", ({ by }) => {
  it("keeps the later as_of until the clock has caught up, and counts correctly meanwhile", async () => {
    await experiment.expose(NOW - 1);
    await experiment.put(START);
    service.jump(by);
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(NOW + by), computed_at: iso(NOW + by) });
    service.jump(-by);

    await experiment.expose(NOW + SECOND);
    await service.pass(MINUTE);
    expect((await experiment.requestRefresh()).status).toBe(202);
    expect(await experiment.exposures()).toMatchObject({
      status: "running",
      as_of: iso(NOW + by),
      computed_at: iso(NOW + by),
      exposures: { total_identities: 2 },
    });

    service.set(NOW + by + HOUR);
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(NOW + by + HOUR),
      exposures: { total_identities: 2 },
    });
  });

  it("accepts a manual request after one made while the clock was ahead", async () => {
    await experiment.put(START);
    service.jump(by);
    expect((await experiment.requestRefresh()).status).toBe(202);
    service.jump(-by);
    expect((await experiment.requestRefresh()).status).toBe(202);
    expect((await experiment.requestRefresh()).headers.get("Retry-After")).toBe("300");
  });

  it("serves a postponed webhook after its remaining time", async () => {
    await experiment.put(START);
    await experiment.sendWebhook();
    await experiment.sendWebhook();
    service.jump(by);
    await service.pass(100 * SECOND);
    service.jump(-by);
    await experiment.expose(START);
    await service.pass(200 * SECOND);
    expect(await experiment.exposures()).toMatchObject({
      refresh_requested_at: null,
      exposures: { total_identities: 1 },
    });
  });

  it("serves a webhook received while the clock was ahead after the minimum interval at the latest", async () => {
    await experiment.put(START);
    service.jump(by);
    await experiment.sendWebhook();
    await experiment.sendWebhook();
    service.jump(-by);
    await experiment.expose(START);
    await service.pass(INTERVAL);
    expect((await experiment.exposures()).refresh_requested_at).toBeNull();
    expect(await identities()).toBe(1);
  });

  it("shows a draft that seemed to have started as a draft again, and counts it from its start", async () => {
    const start = NOW + 10 * MINUTE;
    await experiment.put(start);
    service.jump(by);
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({ status: "running", exposures: { total_identities: 0 } });
    service.jump(-by);
    expect((await experiment.exposures()).status).toBe("draft");
    expect((await experiment.requestRefresh()).status).toBe(409);

    await experiment.expose(start - 1, start);
    await service.pass(20 * MINUTE);
    await service.sweep();
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
    service.jump(by);
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({ status: "completed", is_final: true, as_of: iso(end) });
    service.jump(-by);
  });

  it("stays unchanged, like any final experiment", async () => {
    const before = await experiment.exposures();
    await experiment.expose(NOW - 1);
    expect((await experiment.requestRefresh()).status).toBe(409);
    await service.sweep();
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
    service.set(end + SETTLE - 1);
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({ is_final: false, exposures: { total_identities: 1 } });
    await experiment.expose(end - 2);
    service.set(end + SETTLE);
    await service.sweep();
    const final = await experiment.exposures();
    expect(final).toMatchObject({ status: "completed", is_final: true, exposures: { total_identities: 2 } });
    await service.sweep(end + DAY);
    expect(await experiment.exposures()).toEqual(final);
  });
});
