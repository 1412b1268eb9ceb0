import { describe, expect, it } from "vitest";
import {
  DAY,
  HOUR,
  INTERVAL,
  iso,
  MINUTE,
  SECOND,
  type SimulatedExperiment,
  type SimulatedService,
  useSimulatedService,
} from "../support/simulated-service.ts";

const NOW = Date.UTC(2026, 5, 20, 10, 30);
const START = NOW - 10 * DAY;

let service: SimulatedService;
let experiment: SimulatedExperiment;
useSimulatedService(NOW, (setup) => {
  ({ service, experiment } = setup);
});

describe("a sweep", () => {
  it("computes numbers as of its scheduled time if it runs late", async () => {
    await experiment.put(NOW + MINUTE);
    const due = NOW + 2 * MINUTE;
    service.set(due + 20 * SECOND);
    await experiment.expose(due - 1, due);
    await service.sweep(due);
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(due),
      computed_at: iso(due + 20 * SECOND),
      exposures: { total_identities: 1 },
    });
  });

  it("computes numbers as of its scheduled time if that is in the future, with computed_at no earlier", async () => {
    const due = NOW + 20 * SECOND;
    await experiment.put(START);
    await experiment.expose(due - 1, due);
    await service.sweep(due);
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(due),
      computed_at: iso(due),
      exposures: { total_identities: 1 },
    });
  });

  it("counts late events if it has the same scheduled time as the sweep before, and keeps as_of", async () => {
    await experiment.put(START);
    await experiment.expose(NOW - 1);
    const due = NOW + MINUTE;
    service.set(due);
    await service.sweep(due);
    const first = await experiment.get();
    await experiment.expose(NOW - 2);
    await service.sweep(due);
    const second = await experiment.get();
    expect(second.json).toMatchObject({ as_of: first.json.as_of, exposures: { total_identities: 2 } });
    expect(second.headers.get("ETag")).not.toBe(first.headers.get("ETag"));
  });

  it("shares one queued query among concurrent sweeps", async () => {
    await experiment.put(START);
    const { queries } = service.state;
    expect(await Promise.all([1, 2, 3, 4].map(() => service.sweep(NOW)))).toEqual([true, true, true, true]);
    expect(service.state.queries).toBe(queries + 2);
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(NOW) });
  });

  it("keeps the newer as_of and counts late events if it is delivered a day late", async () => {
    await experiment.expose(NOW - 1);
    await experiment.put(START);
    await experiment.expose(NOW - 2);
    service.jump(MINUTE);
    expect(await service.sweep(NOW - DAY)).toBe(true);
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(NOW),
      computed_at: iso(NOW + MINUTE),
      exposures: { total_identities: 2 },
    });
  });

  it("does not refresh an experiment that started after its scheduled time", async () => {
    service.state.fault = { kind: "bad_rows" };
    await experiment.put(NOW - HOUR);
    service.state.fault = null;
    expect(await service.sweep(NOW - DAY)).toBe(true);
    expect((await experiment.exposures()).exposures).toBeNull();
    await service.sweep();
    expect((await experiment.exposures()).as_of).toBe(iso(NOW));
  });

  it("does not change an experiment that became final after its scheduled time", async () => {
    const end = NOW - 3 * HOUR;
    await experiment.expose(end - 1);
    await experiment.put(START, end);
    const final = await experiment.exposures();
    expect(final).toMatchObject({ as_of: iso(end), is_final: true, exposures: { total_identities: 1 } });
    await experiment.expose(end - 2);
    await service.sweep(NOW - DAY);
    expect(await experiment.exposures()).toEqual(final);
  });

  it("does not make numbers from before the end final, even if it runs after the settling time", async () => {
    const end = NOW + HOUR;
    await experiment.put(START, end);
    await experiment.expose(end - 1);
    service.set(end + 2 * HOUR);
    await service.sweep(end - MINUTE);
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(end - MINUTE), is_final: false });
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(end),
      is_final: true,
      exposures: { total_identities: 1 },
    });
  });

  it("keeps a webhook delivery for three days", async () => {
    await experiment.put(START);
    await experiment.sendWebhook({ id: "delivered" });
    await service.pass(3 * MINUTE);
    const repeat = async () => (await experiment.sendWebhook({ id: "delivered", at: Date.now() })).json;
    await service.sweep(NOW + 3 * DAY);
    expect((await repeat()).skipped).toEqual([{ experiment_id: experiment.id, reason: "repeated" }]);
    await service.sweep(NOW + 3 * DAY + 1);
    expect((await repeat()).accepted).toEqual([experiment.id]);
  });
});

describe("a sweep that was due before a refresh request", () => {
  const due = NOW + MINUTE;

  it.each(["sendWebhook", "requestRefresh"] as const)("counts as of its own time: %s", async (request) => {
    await experiment.put(START);
    await experiment.sendWebhook();
    service.set(due + 10 * SECOND);
    await experiment.expose(due + 5 * SECOND);
    // When the sweep runs, the request still waits for the interval or for a retry.
    service.state.fault = { kind: "timeout" };
    expect((await experiment[request]()).status).toBe(202);
    service.state.fault = null;
    service.jump(SECOND);
    await service.sweep(due);
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(due + 11 * SECOND),
      refresh_requested_at: null,
      last_error_at: null,
      exposures: { total_identities: 1 },
    });
  });

  it("refreshes an experiment whose started_at was moved to the time in between", async () => {
    await experiment.put(START);
    service.set(due + 10 * SECOND);
    service.state.fault = { kind: "timeout" };
    await experiment.put(due - SECOND);
    service.state.fault = null;
    await experiment.expose(due + 5 * SECOND);
    await service.sweep(due);
    expect(await experiment.exposures()).toMatchObject({
      as_of: iso(due + 10 * SECOND),
      exposures: { total_identities: 1 },
    });
  });

  it("counts as of the clock at most, even if the request was made while the clock was ahead", async () => {
    await experiment.put(START);
    service.jump(DAY);
    service.state.fault = { kind: "bad_rows" };
    await experiment.requestRefresh();
    service.state.fault = null;
    service.set(NOW + MINUTE);
    await service.sweep(NOW);
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(NOW + MINUTE), refresh_requested_at: null });
  });
});

describe("a postponed webhook", () => {
  it("is not cleared by a sweep that was due before it", async () => {
    await experiment.put(START);
    await experiment.sendWebhook();
    await service.pass(MINUTE);
    const due = Date.now() - 10 * SECOND;
    await experiment.expose(Date.now() - SECOND);
    expect((await experiment.sendWebhook()).status).toBe(202);
    await service.sweep(due);
    await service.pass(INTERVAL);
    expect(await experiment.exposures()).toMatchObject({
      refresh_requested_at: null,
      exposures: { total_identities: 1 },
    });
  });
});
