import { beforeEach, describe, expect, it } from "vitest";
import {
  DAY,
  experimentOf,
  HOUR,
  iso,
  MINUTE,
  SETTLE,
  type SimulatedExperiment,
  type SimulatedService,
  useSimulatedService,
} from "../support/simulated-service.ts";
import type { TestWarehouse } from "../support/warehouse.ts";

const NOW = Date.UTC(2026, 5, 20, 10, 30, 0, 1);
const START = NOW - 10 * HOUR;

let warehouse: TestWarehouse;
let service: SimulatedService;
let experiment: SimulatedExperiment;
useSimulatedService(NOW, (setup) => {
  ({ warehouse, service, experiment } = setup);
});

const NO_NUMBERS = { as_of: null, computed_at: null, exposures: null, is_final: false, refresh_requested_at: null };

/** Sets the clock to a time, sweeps, and returns the exposures. */
async function sweepAt(time: number) {
  service.set(time);
  expect(await service.sweep()).toBe(true);
  return experiment.exposures();
}

describe("started_at in the future", () => {
  const start = NOW + HOUR;

  it("makes a draft: it has no numbers, runs no query and answers a manual request with 409", async () => {
    expect((await experiment.put(start)).json.status).toBe("draft");
    await service.pass(0);
    expect((await experiment.requestRefresh()).status).toBe(409);
    expect((await experiment.sendWebhook()).json.skipped).toEqual([
      { experiment_id: experiment.id, reason: "not_started" },
    ]);
    expect(await sweepAt(start - 1)).toMatchObject({ ...NO_NUMBERS, status: "draft", last_error_at: null });
    expect(service.state.queries).toBe(0);
  });

  it("needs no further request: the first sweep after it has the first numbers", async () => {
    await experiment.put(start);
    await experiment.expose(start - 1, start, start + MINUTE);
    expect(await sweepAt(start + 10 * MINUTE)).toMatchObject({
      status: "running",
      as_of: iso(start + 10 * MINUTE),
      exposures: { total_identities: 2 },
    });
  });

  it("changes the status and the ETag at exactly that millisecond", async () => {
    await experiment.put(start);
    service.set(start - 1);
    const before = await experiment.get();
    service.set(start);
    const at = await experiment.get();
    expect([before.json.status, at.json.status]).toEqual(["draft", "running"]);
    expect(at.headers.get("ETag")).not.toBe(before.headers.get("ETag"));
    expect((await experiment.read()).status).toBe("running");
    const listed = await service.call("GET", `/v1/experiments?status=running&environment_key=${experiment.id}`);
    expect(listed.json.experiments).toMatchObject([{ id: experiment.id }]);
  });

  it.each([
    { start: NOW + HOUR, where: "inside a bucket", buckets: 1 },
    { start: Date.UTC(2026, 5, 20, 12), where: "on a bucket's edge", buckets: 0 },
  ])("gives an empty window with zeros at exactly that millisecond: $where", async ({ start, buckets }) => {
    await experiment.expose(start);
    await experiment.put(start, null, { variants: [{ key: "control", weight: 1 }] });
    const response = await sweepAt(start);
    expect(response).toMatchObject({
      as_of: iso(start),
      status: "running",
      exposures: { total_identities: 0, excluded_identities: 0, variants: { control: 0 } },
    });
    expect(response.exposures.timeseries.points).toHaveLength(buckets);
  });

  it("allows a manual request at exactly that millisecond, and counts the first event one millisecond later", async () => {
    await experiment.expose(start);
    await experiment.put(start);
    service.set(start);
    expect((await experiment.requestRefresh()).status).toBe(202);
    expect((await experiment.requestRefresh()).status, "too soon, but started").toBe(429);
    expect((await experiment.exposures()).exposures.total_identities).toBe(0);
    const response = await sweepAt(start + 1);
    expect(response.exposures.total_identities).toBe(1);
    expect(response.exposures.timeseries.points).toHaveLength(1);
  });

  it("turns a running experiment into a draft without numbers, which starts again at that time", async () => {
    await experiment.expose(START, start);
    await experiment.put(START);
    const before = await experiment.get();
    expect(before.json.exposures.total_identities).toBe(1);

    expect((await experiment.put(start)).json.status).toBe("draft");
    const draft = await experiment.get();
    expect(draft.json).toMatchObject({ ...NO_NUMBERS, status: "draft", last_error_at: null });
    expect(draft.headers.get("ETag")).not.toBe(before.headers.get("ETag"));
    expect((await experiment.requestRefresh()).status).toBe(409);
    expect(await sweepAt(start - 1)).toMatchObject(NO_NUMBERS);
    expect(await sweepAt(start + MINUTE)).toMatchObject({
      as_of: iso(start + MINUTE),
      exposures: { total_identities: 1 },
    });
  });

  it("starts the experiment at once when it is moved into the past", async () => {
    await experiment.expose(START);
    await experiment.put(start);
    expect((await experiment.put(START)).json.status).toBe("running");
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(NOW), exposures: { total_identities: 1 } });
  });

  it("makes a draft if it is 1 ms after the time of the edit, but not if it equals that time", async () => {
    expect((await experiment.put(NOW + 1)).json.status).toBe("draft");
    expect(await experiment.exposures()).toMatchObject(NO_NUMBERS);
    expect((await experiment.put(NOW)).json.status).toBe("running");
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(NOW), exposures: { total_identities: 0 } });
  });
});

describe("ended_at", () => {
  const end = NOW + HOUR;

  it("ends the window: an event at exactly that millisecond does not count", async () => {
    await experiment.put(START, end);
    await experiment.expose(end - 1, end, end + 1);
    expect(await sweepAt(end - 1)).toMatchObject({
      status: "running",
      as_of: iso(end - 1),
      exposures: { total_identities: 0 },
    });
    for (const time of [end, end + 1, end + MINUTE]) {
      expect(await sweepAt(time)).toMatchObject({
        status: "completed",
        as_of: iso(end),
        computed_at: iso(time),
        is_final: false,
        exposures: { total_identities: 1 },
      });
    }
  });

  it.each([
    { when: "1 ms before its end", time: end + SETTLE - 1, isFinal: false },
    { when: "at its end", time: end + SETTLE, isFinal: true },
    { when: "1 ms after its end", time: end + SETTLE + 1, isFinal: true },
  ])(
    "makes the numbers final after the settling time, for each trigger: $when, $isFinal",
    async ({ time, isFinal }) => {
      for (const trigger of ["requestRefresh", "sendWebhook", "sweep"] as const) {
        const refreshed = experimentOf(service, `${experiment.id}-${trigger}`);
        service.set(NOW);
        await refreshed.put(START, end);
        service.set(time);
        await (trigger === "sweep" ? service.sweep() : refreshed[trigger]());
        expect(await refreshed.exposures(), trigger).toMatchObject({ as_of: iso(end), is_final: isFinal });
        expect((await refreshed.requestRefresh()).status, trigger).toBe(
          isFinal ? 409 : trigger === "requestRefresh" ? 429 : 202,
        );
      }
    },
  );

  it("does not make numbers final if the settling time ends during their query", async () => {
    await experiment.put(START, end);
    service.set(end + SETTLE - 1);
    const sweep = service.sweep();
    await service.queryInFlight();
    service.set(end + SETTLE);
    expect(await sweep).toBe(true);
    expect(await experiment.exposures()).toMatchObject({ computed_at: iso(end + SETTLE), is_final: false });
  });

  it.each([
    { past: "long ago", end: NOW - 5 * HOUR, isFinal: true },
    { past: "exactly the settling time ago", end: NOW - SETTLE, isFinal: true },
    { past: "a little less than the settling time ago", end: NOW - SETTLE + 1, isFinal: false },
    { past: "just now", end: NOW, isFinal: false },
  ])(
    "gives a new experiment its numbers at once if it is in the past, final after the settling time: $past",
    async ({ end, isFinal }) => {
      await experiment.expose(START, end - 1, end);
      expect((await experiment.put(START, end)).json.status).toBe("completed");
      expect(await experiment.exposures()).toMatchObject({
        as_of: iso(end),
        is_final: isFinal,
        exposures: { total_identities: 2 },
      });
    },
  );

  describe("of a final experiment, with ?replace_numbers=true", () => {
    const REPLACE = "?replace_numbers=true";
    const end = NOW - 3 * HOUR;
    beforeEach(async () => {
      await experiment.expose(end - 2 * HOUR, end - 1, end, NOW - MINUTE);
      await experiment.put(START, end);
      expect(await experiment.exposures()).toMatchObject({ is_final: true, exposures: { total_identities: 2 } });
    });

    it.each([
      { to: "earlier", moved: end - HOUR, as_of: end - HOUR, isFinal: true, status: "completed", total: 1 },
      {
        to: "later, settled",
        moved: end + HOUR,
        as_of: end + HOUR,
        isFinal: true,
        status: "completed",
        total: 3,
      },
      { to: "later, not settled", moved: NOW - 1, as_of: NOW - 1, isFinal: false, status: "completed", total: 4 },
      { to: "into the future", moved: NOW + HOUR, as_of: NOW, isFinal: false, status: "running", total: 4 },
      {
        to: "to null, which reopens the experiment",
        moved: null,
        as_of: NOW,
        isFinal: false,
        status: "running",
        total: 4,
      },
    ])("can be moved: $to", async ({ moved, as_of, isFinal, status, total }) => {
      expect((await experiment.put(START, moved, {}, REPLACE)).json.status).toBe(status);
      expect(await experiment.exposures()).toMatchObject({
        status,
        as_of: iso(as_of),
        is_final: isFinal,
        exposures: { total_identities: total },
      });
    });

    it("can be moved while the warehouse fails: the old numbers stay, but are not final", async () => {
      service.state.fault = { kind: "timeout" };
      await experiment.put(START, end - HOUR, {}, REPLACE);
      expect(await experiment.exposures()).toMatchObject({
        as_of: iso(end),
        is_final: false,
        last_error_at: iso(NOW),
        exposures: { total_identities: 2 },
      });
      service.state.fault = null;
      await service.sweep();
      expect(await experiment.exposures()).toMatchObject({ as_of: iso(end - HOUR), is_final: true });
    });
  });
});

describe("events", () => {
  it("count as soon as as_of is after them, and only once", async () => {
    const later = NOW + HOUR;
    await experiment.expose(NOW - 1, NOW, NOW + 1, later);
    await experiment.put(START);
    const totals = [(await experiment.exposures()).exposures.total_identities];
    for (const time of [NOW + 1, NOW + 2, later, later + 1, later + HOUR]) {
      totals.push((await sweepAt(time)).exposures.total_identities);
    }
    expect(totals).toEqual([1, 2, 3, 3, 4, 4]);
  });

  it("do not exclude an identity before its second variant is in the past", async () => {
    const later = NOW + HOUR;
    const event = { environment_key: experiment.id, feature_name: experiment.id, identifier: "ann" };
    await warehouse.insert([
      { ...event, value: "control", timestamp: NOW - 1 },
      { ...event, value: "treatment", timestamp: later },
    ]);
    await experiment.put(START);
    expect((await experiment.exposures()).exposures).toMatchObject({ total_identities: 1, excluded_identities: 0 });
    expect((await sweepAt(later)).exposures).toMatchObject({ total_identities: 1, excluded_identities: 0 });
    expect((await sweepAt(later + 1)).exposures).toMatchObject({ total_identities: 0, excluded_identities: 1 });
  });

  it("count by their timestamp, even if they were collected before it or years later", async () => {
    const text = (time: number) => iso(time).slice(0, -1).replace("T", " ");
    const rows = [
      ["collected before", NOW - 1, NOW - DAY],
      ["collected years later", NOW - 2, Date.UTC(2031, 0)],
      ["timestamp in the future", NOW + 1, NOW - 1],
    ] as const;
    const values = rows.map(
      ([name, timestamp, collected]) =>
        `('${experiment.id}', '$flag_exposure', '${experiment.id}', '${name}', 'control', '${text(timestamp)}', '${text(collected)}')`,
    );
    await warehouse.command(
      `INSERT INTO events (environment_key, event, feature_name, identifier, value, timestamp, collected_at)
      VALUES ${values.join()}`,
    );
    await experiment.put(START);
    expect((await experiment.exposures()).exposures.total_identities).toBe(2);
  });

  it.each([
    { where: "1 ms before started_at", time: START - 1, total: 0 },
    { where: "at started_at", time: START, total: 1 },
    { where: "1 ms before ended_at", time: NOW - HOUR - 1, total: 1 },
    { where: "at ended_at", time: NOW - HOUR, total: 0 },
  ])("count from started_at until before ended_at: $where counts $total", async ({ time, total }) => {
    await experiment.expose(time);
    await experiment.put(START, NOW - HOUR);
    expect((await experiment.exposures()).exposures.total_identities).toBe(total);
  });
});
