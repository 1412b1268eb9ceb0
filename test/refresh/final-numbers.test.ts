import { describe, expect, it } from "vitest";
import { NO_CAUSES } from "../../src/exposures/health.ts";
import {
  DAY,
  experimentOf,
  HOUR,
  INTERVAL,
  iso,
  MINUTE,
  SETTLE,
  type SimulatedExperiment,
  type SimulatedService,
  useSimulatedService,
} from "../support/simulated-service.ts";
import type { TestWarehouse } from "../support/warehouse.ts";

const NOW = Date.UTC(2026, 5, 20, 10, 30);
const END = NOW - 2 * HOUR;
const START = END - 2 * DAY;
const TTL = 90 * DAY;

let warehouse: TestWarehouse;
let service: SimulatedService;
let experiment: SimulatedExperiment;
useSimulatedService(NOW, (setup) => {
  ({ warehouse, service, experiment } = setup);
});

/** Inserts exposures of this many new identities at the start. */
const exposeAtStart = (identities: number) => experiment.expose(...Array<number>(identities).fill(START));

/** Deletes the experiment's events before a time, as their TTL does. */
const expire = (before: number) =>
  warehouse.command(
    `DELETE FROM ${warehouse.settings.database}.events WHERE environment_key = '${experiment.id}'
      AND timestamp < fromUnixTimestamp64Milli(${before})`,
  );

const put = (fields: Record<string, unknown>, query = "") =>
  service.call("PUT", `/v1/experiments/${experiment.id}${query}`, {
    environment_key: experiment.id,
    feature_name: experiment.id,
    started_at: iso(START),
    ended_at: iso(END),
    ...fields,
  });

async function recount() {
  const response = await service.call("POST", `/v1/experiments/${experiment.id}/exposures/recount`);
  await service.pass(0);
  return response;
}

/** Returns final numbers of 8 identities, whose events have expired. */
async function finalNumbers() {
  await exposeAtStart(8);
  await put({ variants: [{ key: "control", weight: 1 }] });
  await service.pass(0);
  const final = await experiment.exposures();
  expect(final).toMatchObject({ is_final: true, exposures: { total_identities: 8 } });
  await expire(END);
  return final;
}

describe("final numbers", () => {
  it.each([
    ["another name", { name: "Another" }],
    ["another weight", { variants: [{ key: "control", weight: 2 }] }],
    [
      "other variants",
      {
        variants: [
          { key: "a", weight: 1 },
          { key: "control", weight: 1 },
        ],
      },
    ],
  ])("stay final under %s, without a count", async (_, fields) => {
    const final = await finalNumbers();
    const { queries } = service.state;
    expect((await put(fields)).status).toBe(200);
    await service.pass(0);
    expect(await service.sweep()).toBe(true);
    const { exposures, ...rest } = await experiment.exposures();
    expect({ ...rest, exposures: null }).toEqual({ ...final, exposures: null });
    expect(exposures).toMatchObject({ total_identities: 8, variants: { control: 8 } });
    expect(service.state.queries).toBe(queries);
  });

  it.each([
    ["environment", { environment_key: "another" }],
    ["feature", { feature_name: "another" }],
    ["start", { started_at: iso(START + 1) }],
    ["start, cleared", { started_at: null, ended_at: null }],
    ["end", { ended_at: iso(END - 1) }],
    ["end, cleared", { ended_at: null }],
  ])("survive an edit of the %s, which is a 409 that names the parameter to replace them", async (_, fields) => {
    const final = await finalNumbers();
    const refused = await put(fields);
    expect(refused.status).toBe(409);
    expect(refused.json).toMatchObject({ type: "urn:edge-exposures:problem:final-numbers" });
    expect(refused.json.detail).toContain("?replace_numbers=true");
    await service.pass(0);
    await service.sweep();
    expect(await experiment.exposures()).toEqual(final);

    expect((await put(fields, "?replace_numbers=true")).status).toBe(200);
    await service.pass(0);
    expect((await experiment.exposures()).exposures?.total_identities ?? 0).toBe(0);
  });

  it("stay final when replace_numbers is sent with an edit that keeps them", async () => {
    const final = await finalNumbers();
    expect((await put({ name: "Another" }, "?replace_numbers=true")).status).toBe(200);
    await service.pass(0);
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({ is_final: true, computed_at: final.computed_at });
  });

  it.each([
    ["replace_numbers=yes", "replace_numbers"],
    ["replace=true", "replace"],
  ])("survive a request with ?%s, which is a 400", async (query, path) => {
    const final = await finalNumbers();
    const refused = await put({ ended_at: null }, `?${query}`);
    expect(refused).toMatchObject({ status: 400, json: { errors: [{ path }] } });
    expect(await experiment.exposures()).toEqual(final);
  });
});

describe("the health of final numbers", () => {
  it("follows other weights, without a count and without the causes of another split", async () => {
    const variantsOf = (control: number, treatment: number) => [
      { key: "control", weight: control },
      { key: "treatment", weight: treatment },
    ];
    const exposed = (value: string, count: number) =>
      Array.from({ length: count }, (_, index) => ({
        environment_key: experiment.id,
        feature_name: experiment.id,
        timestamp: START,
        identifier: `${value}-${index}`,
        value,
      }));
    await service.insert([...exposed("control", 900), ...exposed("treatment", 100)]);
    const statusOf = ({ exposures }: Awaited<ReturnType<SimulatedExperiment["exposures"]>>) => [
      exposures.health.status,
      exposures.health.checks[0].status,
    ];
    await put({ variants: variantsOf(1, 1) });
    await service.pass(0);
    const wrong = await experiment.get();
    expect(statusOf(wrong.json)).toEqual(["unhealthy", "unhealthy"]);
    const { queries } = service.state;
    await put({ variants: variantsOf(9, 1) });
    const right = await experiment.get();
    expect(statusOf(right.json)).toEqual(["healthy", "healthy"]);
    expect(right.headers.get("ETag")).not.toBe(wrong.headers.get("ETag"));
    await put({ variants: variantsOf(1, 1) });
    const { health, ...numbers } = wrong.json.exposures;
    const [sampleRatio, ...others] = health.checks;
    expect(sampleRatio.causes_detail).toEqual(expect.any(String));
    const checks = [{ ...sampleRatio, ...NO_CAUSES }, ...others];
    expect((await experiment.exposures()).exposures).toEqual({ ...numbers, health: { ...health, checks } });
    expect(service.state.queries).toBe(queries);
  });
});

describe("the sample ratio after a ramp", () => {
  it("tests the identities of the hours after it, also in final numbers and after corrections", async () => {
    const variantsOf = (control: number, treatment: number) => ({
      variants: Object.entries({ control, treatment }).map(([key, weight]) => ({ key, weight })),
    });
    const exposed = (timestamp: number, identities: Record<string, number>) =>
      Object.entries(identities).flatMap(([value, count]) =>
        Array.from({ length: count }, (_, index) => ({
          environment_key: experiment.id,
          feature_name: experiment.id,
          timestamp,
          value,
          identifier: `${timestamp}-${value}-${index}`,
        })),
      );
    await service.insert([
      ...exposed(NOW + MINUTE, { control: 900, treatment: 100 }),
      ...exposed(NOW + HOUR, { control: 50 }),
      ...exposed(NOW + 2 * HOUR, { control: 300, treatment: 300 }),
    ]);
    const end = NOW + 3 * HOUR;
    const sampleRatio = async () => (await experiment.exposures()).exposures.health.checks[0];
    await experiment.put(NOW, end, variantsOf(90, 10));
    service.set(NOW + HOUR);
    expect((await experiment.put(NOW, end, variantsOf(50, 50))).json.weights_changed_at).toBe(iso(NOW + HOUR));
    expect(await sampleRatio()).toMatchObject({ status: "waiting", observed: { control: 0, treatment: 0 } });

    service.set(end + SETTLE);
    expect(await service.sweep()).toBe(true);
    const final = await experiment.exposures();
    const tested = { observed: { control: 300, treatment: 300 }, tested_from: iso(NOW + 1.5 * HOUR) };
    expect(final).toMatchObject({ is_final: true, exposures: { total_identities: 1650 } });
    expect(await sampleRatio()).toMatchObject({ status: "healthy", ...tested });
    const corrected = await experiment.put(NOW, end, variantsOf(9, 1));
    expect(corrected.json.weights_changed_at).toBe(iso(NOW + HOUR));
    expect(await sampleRatio()).toMatchObject({ status: "unhealthy", ...tested });
    await experiment.put(NOW, end, variantsOf(1, 1));
    expect((await experiment.exposures()).exposures).toEqual(final.exposures);
  });
});

describe("an edit that leaves out a stored time", () => {
  it("is a 400 that says so, and changes nothing", async () => {
    const final = await finalNumbers();
    const before = await experiment.read();
    const body = { environment_key: experiment.id, feature_name: experiment.id };
    const path = `/v1/experiments/${experiment.id}`;
    const without = async (fields: object) => {
      const response = await service.call("PUT", path, { ...body, ...fields });
      expect(response.status).toBe(400);
      return response.json.errors.map((error: { path: string; message: string }) => {
        expect(error.message).toMatch(/null to clear it/);
        return error.path;
      });
    };
    expect(await without({})).toEqual(["started_at", "ended_at"]);
    expect(await without({ started_at: iso(START) })).toEqual(["ended_at"]);
    expect(await without({ started_at: null })).toEqual(["ended_at"]);
    expect(await experiment.read()).toEqual(before);
    expect(await experiment.exposures()).toEqual(final);
  });
});

describe("a recount", () => {
  it("counts late events, and keeps the final numbers until it succeeds", async () => {
    await exposeAtStart(8);
    await experiment.put(START, END);
    const final = await experiment.exposures();
    expect(final.is_final).toBe(true);
    await exposeAtStart(9);
    service.state.fault = { kind: "timeout" };
    const requested = await recount();
    expect(requested.status).toBe(202);
    expect(requested.json).toEqual({ experiment_id: experiment.id, refresh_requested_at: iso(NOW) });
    expect(await experiment.exposures()).toEqual({
      ...final,
      last_error_at: iso(NOW),
      refresh_requested_at: iso(NOW),
    });
    service.state.fault = null;
    await service.pass(MINUTE);
    expect(await experiment.exposures()).toMatchObject({
      exposures: { total_identities: 9 },
      is_final: true,
      as_of: iso(END),
      last_error_at: null,
      refresh_requested_at: null,
    });
  });

  it("is served by the next sweep if its coordinator fails, and by no sweep after that", async () => {
    await exposeAtStart(8);
    await experiment.put(START, END);
    await exposeAtStart(9);
    service.state.fault = { kind: "credentials" };
    expect((await recount()).status).toBe(202);
    // An edit of the name keeps the request.
    expect((await put({ name: "Another" })).status).toBe(200);
    service.state.fault = null;
    expect(await service.sweep()).toBe(true);
    expect(await experiment.exposures()).toMatchObject({ exposures: { total_identities: 9 }, is_final: true });
    const { queries } = service.state;
    await service.sweep();
    expect(service.state.queries).toBe(queries);
  });

  it("does not replace final numbers with fewer identities, sets last_error_at, and logs what to do", async () => {
    const final = await finalNumbers();
    expect((await recount()).status).toBe(202);
    expect(await experiment.exposures()).toEqual({ ...final, last_error_at: iso(NOW) });
    expect(service.logged("refresh.incomplete")).toMatchObject([
      { level: "warn", fields: { identities: 0, stored_identities: 8, is_final: true, advice: expect.any(String) } },
    ]);
    const { queries } = service.state;
    await service.sweep();
    expect(service.state.queries).toBe(queries);
  });

  it("waits for the minimum interval", async () => {
    await experiment.put(START, END);
    expect((await recount()).status).toBe(202);
    const refused = await recount();
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, String(INTERVAL / 1000)]);
    await service.pass(INTERVAL);
    expect((await recount()).status).toBe(202);
  });

  it("is a 409 for numbers that are not final, and a 404 for an unknown experiment", async () => {
    await experiment.put(START);
    const refused = await recount();
    expect(refused).toMatchObject({ status: 409, json: { type: "urn:edge-exposures:problem:not-final" } });
    expect(refused.json.detail).toContain("refresh");
    expect((await service.call("POST", "/v1/experiments/unknown/exposures/recount")).status).toBe(404);
  });
});

describe("numbers whose first events have expired", () => {
  /** Counts 8 identities, of which 5 expire at the end of their TTL. */
  async function expireFirst(endedAt: number | null) {
    await exposeAtStart(5);
    await experiment.expose(...Array<number>(3).fill(START + DAY));
    await experiment.put(START, endedAt);
    service.set(START + TTL);
    expect(await service.sweep()).toBe(true);
    const before = await experiment.exposures();
    expect(before).toMatchObject({ exposures: { total_identities: 8 }, last_error_at: null });
    service.set(START + TTL + HOUR);
    await expire(START + DAY);
    return before;
  }

  it("are kept by an experiment without an end, with last_error_at and advice", async () => {
    const before = await expireFirst(null);
    expect(await service.sweep()).toBe(true);
    expect(await experiment.exposures()).toEqual({ ...before, last_error_at: iso(START + TTL + HOUR) });
    expect(service.logged("refresh.incomplete")).toMatchObject([
      { fields: { identities: 3, stored_identities: 8, advice: expect.stringMatching(/End the experiment/) } },
    ]);
  });

  it("are replaced by a count of as many identities, with a warning of health", async () => {
    await expireFirst(null);
    await experiment.expose(...Array<number>(5).fill(START + 2 * DAY));
    expect(await service.sweep()).toBe(true);
    const after = await experiment.exposures();
    expect(after).toMatchObject({ as_of: iso(START + TTL + HOUR), last_error_at: null });
    expect(after.exposures.health.checks).toContainEqual(
      expect.objectContaining({ name: "window", status: "warning" }),
    );
  });

  it("become final once the experiment has ended, and no sweep counts them again", async () => {
    const end = START + TTL + 2 * HOUR;
    const before = await expireFirst(end);
    await service.sweep();
    service.set(end + SETTLE);
    expect(await service.sweep()).toBe(true);
    const final = await experiment.exposures();
    expect(final).toMatchObject({ ...before, status: "completed", is_final: true, last_error_at: iso(end + SETTLE) });
    const { queries } = service.state;
    await service.sweep();
    expect(service.state.queries).toBe(queries);
  });

  it("are kept when the end is moved before as_of, unless replace_numbers is sent", async () => {
    const before = await expireFirst(null);
    const end = START + 5 * DAY;
    expect((await experiment.put(START, end)).status).toBe(200);
    expect(await experiment.exposures()).toMatchObject({ exposures: before.exposures, is_final: true });
    expect((await put({ ended_at: iso(end - 1) }, "?replace_numbers=true")).status).toBe(200);
    await service.pass(0);
    expect(await experiment.exposures()).toMatchObject({ exposures: { total_identities: 3 }, is_final: true });
  });

  it("are stored if there are none yet, with a warning of health", async () => {
    const late = experimentOf(service, `${experiment.id}-late`);
    await late.expose(START + DAY);
    service.set(START + TTL + 1);
    await late.put(START);
    const { exposures, last_error_at } = await late.exposures();
    expect([exposures.total_identities, last_error_at]).toEqual([1, null]);
    expect(exposures.health.checks).toContainEqual(expect.objectContaining({ name: "window", status: "warning" }));
  });
});
