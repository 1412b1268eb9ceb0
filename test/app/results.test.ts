import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MetricJson } from "../../src/results/metric-json.ts";
import { faults, startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { uniforms } from "../support/random.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";
import { READER, startWorker, type TestWorker, until } from "../support/worker.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const from = Date.now() - 2 * DAY;
/** Has passed, but not long enough ago for final numbers. */
const to = Date.now() - 0.5 * HOUR;
const window = { started_at: new Date(from).toISOString(), ended_at: new Date(to).toISOString() };

let warehouse: TestWarehouse;
let proxy: WarehouseProxy;
let worker: TestWorker;
beforeAll(async () => {
  warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  worker = await startWorker(proxy.settings, { CACHE_SECONDS: 7 });
});
afterAll(async () => {
  await worker?.stop();
  proxy?.stop();
});

const metric = (key: string, fields: Partial<MetricJson> = {}): MetricJson => ({
  key,
  name: key,
  event: "purchase",
  aggregation: "occurrence",
  expected_direction: "increase",
  conversion_window_hours: null,
  lookback_days: 0,
  ...fields,
});

const pathOf = (id: string, view = "results") => `/v1/experiments/${id}/${view}`;
const put = (id: string, metrics: readonly MetricJson[], fields: object = {}) =>
  worker.call("PUT", `/v1/experiments/${id}`, {
    environment_key: "env",
    feature_name: id,
    ...window,
    variants,
    metrics,
    ...fields,
  });
const variants = ["control", "treatment"].map((key) => ({ key, weight: 1 }));

const getResults = async (id: string) => (await worker.call("GET", pathOf(id))).json;
/** Waits until no refresh is requested, and returns the results. */
const refreshed = (id: string) =>
  until(
    () => getResults(id),
    ({ refresh_requested_at }) => refresh_requested_at === null,
  );

/** Events of every awkward kind, with 80 identities. */
function randomEvents(feature_name: string, seed: number): Event[] {
  const uniform = uniforms(seed);
  const pick = <Value>(values: readonly Value[]) => values[Math.floor(uniform() * values.length)] as Value;
  const values = ["1", "2.5", " 7 ", "-3", "1e3", "", "free", "inf", "nan", "1e999", "+4", ".5", "0x10", "1,5"];
  const events: Event[] = [];
  for (let index = 0; index < 80; index++) {
    const identifier = `${feature_name}-${index}`;
    const first = from + Math.floor(uniform() * (to - from - HOUR));
    const arms = index % 10 === 0 ? ["control", "treatment"] : [pick(["control", "treatment", "__proto__", "2"])];
    for (const value of arms)
      events.push({ environment_key: "env", feature_name, timestamp: first, identifier, value });
    if (uniform() < 0.5)
      events.push({ environment_key: "env", feature_name, timestamp: first + HOUR, identifier, value: arms[0] ?? "" });
    for (let count = Math.floor(uniform() * 6); count > 0; count--) {
      const offsets = [0, -1, 1, HOUR, HOUR - 1, -DAY, -DAY - 1, -3 * DAY, Math.floor(uniform() * DAY), to - first];
      const timestamp = first + pick(offsets);
      const event = {
        environment_key: pick(["env", "env", "env", "other"]),
        feature_name: pick(["", feature_name, "x"]),
        event: pick(["purchase", "purchase", "signup"]),
        timestamp,
        identifier,
        value: pick(values),
      };
      events.push(...(uniform() < 0.3 ? [event, { ...event, feature_name: "again" }] : [event]));
    }
  }
  return events;
}

const everyMetric = [
  metric("any"),
  metric("any-signup", { event: "signup" }),
  metric("soon", { conversion_window_hours: 1 }),
  metric("count", { aggregation: "count", expected_direction: "decrease" }),
  metric("revenue", { aggregation: "sum", lookback_days: 1 }),
  metric("basket", { aggregation: "mean", expected_direction: "not_decrease", conversion_window_hours: 12 }),
  metric("before", { lookback_days: 2 }),
];

describe("GET /v1/experiments/{id}/results", () => {
  it("has every metric and variant, as of the same moment as the exposures", async () => {
    const events = randomEvents("random", 1);
    await warehouse.insert(events);
    const response = await put("random", everyMetric);
    expect(response.json.metrics).toEqual(everyMetric);
    const answer = await refreshed("random");
    const exposures = await worker.exposures("random");
    expect(answer).toMatchObject({ experiment_id: "random", as_of: exposures.as_of, is_final: false });
    expect(answer.results).toMatchObject({ control: "control", health: exposures.exposures.health.status });
    const keys = ["control", "treatment", "2", "__proto__"];
    for (const [index, { key }] of everyMetric.entries()) {
      const { variants, comparisons, ...found } = answer.results.metrics[index];
      expect(found).toMatchObject({ key, name: key });
      expect(Object.keys(variants).sort()).toEqual(keys.toSorted());
      for (const variant of keys) expect(variants[variant].identities).toBe(exposures.exposures.variants[variant]);
      expect(Object.keys(comparisons)).toEqual(["treatment"]);
    }
  });

  it("compares the treatment with the control, and adjusts by the covariate", async () => {
    const events: Event[] = [];
    for (let index = 0; index < 200; index++) {
      const identifier = `lift-${index}`;
      const base = { environment_key: "env", feature_name: "lift", identifier };
      const amount = 10 + (index % 10) + (index % 2 === 0 ? 0 : 2);
      events.push({ ...base, timestamp: from + HOUR, value: index % 2 === 0 ? "control" : "treatment" });
      events.push({ ...base, event: "purchase", timestamp: from + 2 * HOUR, value: String(amount) });
      events.push({ ...base, event: "purchase", timestamp: from - HOUR, value: String(10 + (index % 10)) });
    }
    await warehouse.insert(events);
    await put("lift", [
      metric("plain", { aggregation: "sum" }),
      metric("adjusted", { aggregation: "sum", lookback_days: 1 }),
    ]);
    const [plain, adjusted] = (await refreshed("lift")).results.metrics;
    const [control, treatment] = [plain.variants.control, plain.variants.treatment];
    const { lift, interval, credible_interval, verdict } = plain.comparisons.treatment;
    expect(lift).toBeCloseTo((treatment.mean - control.mean) / control.mean, 12);
    expect(interval[0]).toBeLessThan(credible_interval[0]);
    expect(verdict).toBe("winning");
    expect(plain.comparisons.treatment.variance_reduction).toBeNull();
    expect(adjusted.comparisons.treatment.variance_reduction).toBeGreaterThan(0.9);
    expect(adjusted.comparisons.treatment.chance_to_win).toBe(plain.comparisons.treatment.chance_to_win);
  });

  it("is null without metrics, and after the first late metric has results at the next refresh", async () => {
    await warehouse.insert(randomEvents("late", 2));
    await put("late", []);
    expect(await refreshed("late")).toMatchObject({ results: null, as_of: null, computed_at: null });
    expect(await worker.exposures("late")).toMatchObject({ as_of: window.ended_at });
    await put("late", [metric("any")]);
    const answer = await refreshed("late");
    expect(answer).toMatchObject({ as_of: window.ended_at, results: { metrics: [{ key: "any" }] } });
  });

  it("drops only the results of metrics that changed, and keeps exposures", async () => {
    await warehouse.insert(randomEvents("edited", 3));
    await put("edited", [metric("kept"), metric("changed", { aggregation: "sum" })]);
    expect((await refreshed("edited")).results.metrics).toHaveLength(2);
    proxy.injectFault(faults["status 500"], "edited");
    await put("edited", [metric("new"), metric("changed", { aggregation: "count" }), metric("kept")]);
    const edited = await getResults("edited");
    expect(edited.results.metrics.map(({ key }: MetricJson) => key)).toEqual(["kept"]);
    expect((await worker.exposures("edited")).exposures).not.toBeNull();
    await put("edited", [metric("kept", { expected_direction: "not_decrease" })]);
    expect((await getResults("edited")).results.metrics).toMatchObject([{ expected_direction: "not_decrease" }]);
    proxy.injectFault(null, "edited");
    await put("edited", []);
    expect(await refreshed("edited")).toMatchObject({ results: null, last_error_at: null });
  });

  it("is final with the exposures, and a metric added later has results after a recount", async () => {
    const over = { started_at: window.started_at, ended_at: new Date(to - HOUR).toISOString() };
    await warehouse.insert(randomEvents("final", 5));
    await put("final", [metric("any")], over);
    expect(await refreshed("final")).toMatchObject({ is_final: true, results: { metrics: [{ key: "any" }] } });
    await put("final", [metric("any"), metric("late", { aggregation: "count" })], over);
    expect(await getResults("final")).toMatchObject({ is_final: false, results: { metrics: [{ key: "any" }] } });
    expect(await worker.exposures("final")).toMatchObject({ is_final: true, refresh_requested_at: null });
    expect((await worker.call("POST", pathOf("final", "exposures/recount"))).status).toBe(202);
    const recounted = await refreshed("final");
    expect(recounted).toMatchObject({ is_final: true, results: { metrics: [{ key: "any" }, { key: "late" }] } });
  });

  it("returns 304 while the ETag matches, is cached as exposures are, and 404 for an unknown id", async () => {
    const first = await worker.call("GET", pathOf("random"));
    const etag = first.headers.get("ETag") ?? "";
    expect(first.headers.get("Cache-Control")).toBe("private, max-age=7");
    const again = await worker.call("GET", pathOf("random"), undefined, { "If-None-Match": etag });
    expect([again.status, again.text]).toEqual([304, ""]);
    await put("random", everyMetric, { name: "Renamed" });
    const renamed = await worker.call("GET", pathOf("random"), undefined, { "If-None-Match": etag });
    expect(renamed.status).toBe(200);
    expect((await worker.call("GET", pathOf("unknown"))).status).toBe(404);
  });

  it("is visible to readers and to keys of the environment only", async () => {
    const asReader = { Authorization: `Bearer ${READER}` };
    expect((await worker.call("GET", pathOf("random"), undefined, asReader)).status).toBe(200);
    expect((await worker.call("GET", pathOf("random"), undefined, { Authorization: "" })).status).toBe(401);
    for (const [environment_key, status] of [
      ["env", 200],
      ["other", 404],
    ] as const) {
      const created = await worker.call("POST", "/v1/api-keys", { name: "key", environment_key, role: "read" });
      const headers = { Authorization: `Bearer ${created.json.key}` };
      for (const view of ["results", "results.csv"])
        expect((await worker.call("GET", pathOf("random", view), undefined, headers)).status).toBe(status);
    }
  });
});

describe("GET /v1/experiments/{id}/results.csv", () => {
  it("has a row for each metric and variant, and keeps names from being read as formulas", async () => {
    await warehouse.insert(
      ["=1+1", 'a,"b"', "control"].map((value, index) => ({
        environment_key: "env",
        feature_name: "names",
        timestamp: from + HOUR,
        identifier: `n${index}`,
        value,
      })),
    );
    await put("names", [metric("-any", { event: `'"\\'); DROP TABLE events; --` })]);
    await refreshed("names");
    const csv = await worker.call("GET", pathOf("names", "results.csv"));
    expect(csv.headers.get("Content-Type")).toMatch(/^text\/csv/);
    expect(csv.headers.get("ETag")).toBe((await worker.call("GET", pathOf("names"))).headers.get("ETag"));
    expect(csv.headers.get("Content-Disposition")).toBe('attachment; filename="names.results.csv"');
    expect(csv.text.split("\r\n").slice(1)).toEqual([
      `"'-any","control",1,0,0,,0,,,,,,,,,`,
      `"'-any","treatment",0,0,,,0,,,,,,,,,collecting`,
      `"'-any","'=1+1",1,0,0,,0,,,,,,,,,`,
      `"'-any","a,""b""",1,0,0,,0,,,,,,,,,`,
      "",
    ]);
  });
});

describe("an export", () => {
  it("carries metrics and results, and an import restores them", async () => {
    const { text } = await worker.call("GET", "/v1/export");
    const before = await getResults("lift");
    const line = text.split("\n").find((each) => each.includes('"id":"lift"')) ?? "";
    await worker.call("DELETE", "/v1/experiments/lift");
    const imported = await worker.call("POST", "/v1/import", line, { "Content-Type": "application/jsonl" });
    expect(imported.json).toMatchObject({ imported: ["lift"] });
    expect(await getResults("lift")).toEqual(before);
    expect((await worker.call("GET", "/v1/experiments/lift")).json.metrics).toHaveLength(2);
  });
});
