import { describe, expect, it } from "vitest";
import {
  DAY,
  FIRST_RETRY,
  HOUR,
  iso,
  MINUTE,
  SETTLE,
  type SimulatedExperiment,
  type SimulatedService,
  useSimulatedService,
} from "../support/simulated-service.ts";
import type { Event } from "../support/warehouse.ts";

const NOW = Date.UTC(2026, 5, 1, 10, 30);
const START = NOW - DAY;

let service: SimulatedService;
let experiment: SimulatedExperiment;
useSimulatedService(NOW, (setup) => {
  ({ service, experiment } = setup);
});

const purchases = { key: "purchase", event: "purchase", aggregation: "count", expected_direction: "increase" };
const putMetrics = (...metrics: object[]) => experiment.put(START, null, { metrics });
const results = async () => (await service.call("GET", `/v1/experiments/${experiment.id}/results`)).json;
/** The sum of each metric that has results. */
const sums = async () => {
  const { results: found } = await results();
  const entries = (found?.metrics ?? []).map((each: { key: string; variants: { control: { sum: number } } }) => {
    return [each.key, each.variants.control.sum];
  });
  return Object.fromEntries(entries);
};

/** Inserts an exposure of a new identity, and an event of each name at different times. */
function insert(...names: string[]) {
  const identifier = crypto.randomUUID();
  const base = { environment_key: experiment.id, feature_name: experiment.id, identifier, timestamp: START };
  const events = names.map((event, index): Event => ({ ...base, event, timestamp: START + index, value: "1" }));
  return service.insert([{ ...base, value: "control" }, ...events]);
}

describe("a failing query of metrics", () => {
  it.each(["timeout", "bad_rows"] as const)(
    "alone (%s) leaves fresh exposures and the last good results, until a refresh succeeds",
    async (kind) => {
      await insert("purchase");
      await putMetrics(purchases);
      const good = await results();
      expect(good).toMatchObject({ as_of: iso(NOW), last_error_at: null });
      Object.assign(service.state, { fault: { kind }, onlyMetrics: true });
      await insert("purchase");
      service.set(NOW + HOUR);
      expect(await service.sweep()).toBe(true);
      const stale = await results();
      expect(stale).toMatchObject({ as_of: iso(NOW), last_error_at: iso(NOW + HOUR), is_final: false });
      expect(stale.results.metrics).toEqual(good.results.metrics);
      const fresh = { as_of: iso(NOW + HOUR), last_error_at: null, exposures: { total_identities: 2 } };
      expect(await experiment.exposures()).toMatchObject(fresh);
      expect(service.logged("results.failed")).toMatchObject([{ fields: { kind, advice: expect.any(String) } }]);

      service.state.fault = null;
      service.set(NOW + 2 * HOUR);
      await service.sweep();
      expect(await results()).toMatchObject({ as_of: iso(NOW + 2 * HOUR), last_error_at: null });
      expect(await sums()).toEqual({ purchase: 2 });
    },
  );

  it("together with that of exposures leaves both as they were, and both are retried", async () => {
    await insert("purchase");
    await putMetrics(purchases);
    const [good, exposures] = [await results(), await experiment.exposures()];
    service.state.fault = { kind: "timeout" };
    await insert("purchase");
    service.set(NOW + HOUR);
    expect(await service.sweep()).toBe(false);
    expect(await results()).toEqual({ ...good, last_error_at: iso(NOW + HOUR) });
    expect(await experiment.exposures()).toEqual({ ...exposures, last_error_at: iso(NOW + HOUR) });
    service.state.fault = null;
    await service.pass(FIRST_RETRY);
    expect(await results()).toMatchObject({ last_error_at: null });
    expect(await sums()).toEqual({ purchase: 2 });
  });

  it("delays final numbers until results are final as well", async () => {
    const end = NOW - SETTLE;
    await insert("purchase");
    Object.assign(service.state, { fault: { kind: "timeout" }, onlyMetrics: true });
    await experiment.put(START, end, { metrics: [purchases] });
    expect(await results()).toMatchObject({ results: null, as_of: null, last_error_at: iso(NOW), is_final: false });
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(end), is_final: false });
    service.state.fault = null;
    await service.sweep();
    expect(await results()).toMatchObject({ as_of: iso(end), last_error_at: null, is_final: true });
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(end), is_final: true });
    const { queries } = service.state;
    await service.sweep();
    expect(service.state.queries).toBe(queries);
  });
});

describe("an edit of metrics", () => {
  it("during a refresh shows nothing of the old metric, and the next refresh has the new one", async () => {
    await insert("purchase", "signup", "signup");
    await putMetrics(purchases);
    await service.call("POST", `/v1/experiments/${experiment.id}/exposures/refresh`);
    await service.queryInFlight();
    const edited = { environment_key: experiment.id, feature_name: experiment.id, started_at: iso(START) };
    const metrics = [{ ...purchases, event: "signup" }];
    await service.call("PUT", `/v1/experiments/${experiment.id}`, { ...edited, metrics });
    expect(service.state.inFlight).toBe(1);
    expect(await results()).toMatchObject({ results: null, as_of: null });
    await service.pass(0);
    await service.pass(MINUTE);
    expect(await results()).toMatchObject({ last_error_at: null, refresh_requested_at: null });
    expect(await sums()).toEqual({ purchase: 2 });
  });

  it("shows a metric's results under another name or direction at once, and again when it is added again", async () => {
    await insert("purchase", "signup", "signup");
    const signups = { ...purchases, key: "signup", event: "signup" };
    await putMetrics(purchases, signups);
    expect(await sums()).toEqual({ purchase: 1, signup: 2 });
    service.state.fault = { kind: "credentials" };
    await insert("purchase", "signup");
    await putMetrics(signups, { ...purchases, name: "Orders", expected_direction: "not_decrease" });
    expect(await sums()).toEqual({ signup: 2, purchase: 1 });
    const renamed = { key: "purchase", name: "Orders", expected_direction: "not_decrease" };
    expect((await results()).results.metrics).toMatchObject([{ key: "signup" }, renamed]);
    await putMetrics(signups);
    expect(await sums()).toEqual({ signup: 2 });
    await putMetrics(signups, { ...purchases, conversion_window_hours: 1 });
    expect(await sums()).toEqual({ signup: 2 });
    await putMetrics(signups, purchases);
    expect(await sums()).toEqual({ signup: 2, purchase: 1 });
    service.state.fault = null;
    await service.sweep();
    expect(await sums()).toEqual({ signup: 3, purchase: 2 });
  });
});
