import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Metric } from "../../src/experiment.ts";
import { metricJson } from "../../src/results/metric-json.ts";
import { HOUR, scenario } from "../support/arbitrary.ts";
import { collectionByBruteForce, countByBruteForce, type Query, withMaps } from "../support/brute-force.ts";
import { metricEvents } from "../support/metric-scenario.ts";
import { resultsByBruteForce } from "../support/results-by-brute-force.ts";
import { runs } from "../support/runs.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

const FEATURE = "checkout_button";

let warehouse: TestWarehouse;
let worker: TestWorker;
let count = 0;
beforeAll(async () => {
  warehouse = await createWarehouse();
  // A part for each day would slow the tests down.
  await warehouse.command("RENAME TABLE events TO events_by_day");
  const key = "(environment_key, event, feature_name, timestamp, identifier)";
  await warehouse.command(`CREATE TABLE events AS events_by_day ENGINE = MergeTree ORDER BY ${key}`);
  worker = await startWorker(warehouse.settings);
});
afterAll(() => worker.stop());

const newId = () => `chain-${++count}`;
const iso = (time: number) => new Date(time).toISOString();

type Window = { from: number; to: number | null };

function put(id: string, { from, to }: Window, variants: string[] = [], query = "", metrics: readonly Metric[] = []) {
  return worker.call("PUT", `/v1/experiments/${id}${query}`, {
    environment_key: id,
    feature_name: FEATURE,
    variants: variants.map((key) => ({ key, weight: 1 })),
    metrics: metrics.map(metricJson),
    started_at: iso(from),
    ended_at: to === null ? null : iso(to),
  });
}

/** Creates an experiment and waits for its first exposures. */
async function exposuresOf(id: string, window: Window, variants: string[] = [], metrics: readonly Metric[] = []) {
  expect((await put(id, window, variants, "", metrics)).status).toBe(201);
  return until(
    () => worker.exposures(id),
    ({ exposures }) => exposures !== null,
  );
}

type Figure = number | null | Figure[];

/** Expects equal figures, of which numbers may differ by this much. */
function expectClose(actual: Figure, expected: Figure, tolerance: number, what: string) {
  if (Array.isArray(expected) && Array.isArray(actual))
    for (const [index, number] of expected.entries()) expectClose(actual[index] ?? null, number, tolerance, what);
  else if (typeof expected === "number" && typeof actual === "number")
    expect(Math.abs(actual - expected), `${what}: ${actual} instead of ${expected}`).toBeLessThanOrEqual(tolerance);
  else expect(actual, what).toEqual(expected);
}

/** Expects the results of an experiment to equal a brute-force count, to nine digits of its largest value. */
async function expectResults(id: string, events: readonly Event[], query: Query, metrics: readonly Metric[]) {
  const { as_of, is_final, results } = (await worker.call("GET", `/v1/experiments/${id}/results`)).json;
  expect({ as_of, is_final }).toEqual({ as_of: iso(query.to), is_final: true });
  const expected = resultsByBruteForce(events, query, metrics);
  expect(results).toMatchObject({ control: expected.control, metrics: metrics.map(({ key }) => ({ key })) });
  for (const [index, { invalidValues, variants, comparisons }] of expected.metrics.entries()) {
    const found = results.metrics[index];
    expect(found.invalid_values).toBe(invalidValues);
    const figures = new Map<string, Record<string, number | null>>(Object.entries(found.variants));
    expect(new Set(figures.keys())).toEqual(new Set(variants.keys()));
    for (const [variant, { n, sum, mean, variance, y }] of variants) {
      const what = JSON.stringify([metrics[index], variant, y]);
      const { identities, standard_deviation: deviation = null, ...rest } = figures.get(variant) ?? {};
      expect(identities, what).toBe(n);
      const largest = Math.max(1, ...y.map(Math.abs));
      expectClose([rest["sum"] ?? null, rest["mean"] ?? null], [sum, n === 0 ? null : mean], 1e-9 * n * largest, what);
      expectClose(deviation && deviation ** 2, n < 2 ? null : variance, 1e-9 * largest ** 2, what);
    }
    const compared = new Map<string, Record<string, Figure>>(Object.entries(found.comparisons));
    expect([...compared.keys()].sort()).toEqual([...comparisons.keys()].sort());
    for (const [treatment, comparison] of comparisons) {
      const found = compared.get(treatment) ?? {};
      const what = JSON.stringify([metrics[index], treatment, comparison]);
      expect(found["verdict"], what).toBe("collecting");
      for (const [name, figure] of Object.entries(comparison.figures))
        expectClose(found[name] ?? null, figure, comparison.tolerance, what);
    }
  }
}

describe("GET exposures and results", () => {
  it("equal brute-force counts; metrics, order and duplicates change only the number of invalid events", async () => {
    await fc.assert(
      fc.asyncProperty(scenario, metricEvents, async ({ from, to, configured, eventsOf }, { metrics, eventsFor }) => {
        const [id, reversed] = [newId(), newId()];
        const both = [reversed, id].map((name) => eventsOf(name, FEATURE));
        const [again = []] = both;
        const metricsEvents = eventsFor(again, reversed, from, to);
        await warehouse.insert([...both.flat(), ...metricsEvents].reverse());
        await warehouse.insert(again);
        const response = await exposuresOf(id, { from, to }, configured);
        expect(response).toMatchObject({ as_of: iso(to), status: "completed", is_final: true });
        const query = { environment_key: id, feature_name: FEATURE, variants: configured, from, to };
        const events = eventsOf(id, FEATURE);
        expect(withMaps(response.exposures)).toEqual(countByBruteForce(events, query));
        const { latestExposureAt, lateIdentities, invalidEvents } = collectionByBruteForce(events, query);
        const figures = Object.assign({}, ...response.exposures.health.checks);
        expect(figures).toMatchObject({
          latest_exposure_at: latestExposureAt === null ? null : iso(latestExposureAt),
          late_identities: lateIdentities,
          invalid_events: invalidEvents,
        });

        await exposuresOf(reversed, { from, to }, configured, metrics);
        await expectResults(reversed, [...again, ...metricsEvents], { ...query, environment_key: reversed }, metrics);
        const textOf = async (name: string) => (await worker.call("GET", `/v1/experiments/${name}/exposures`)).text;
        const payload = (text: string) =>
          text.slice(text.indexOf('"exposures":')).replace(/\{"name":"invalid_events".*?\}/, "");
        expect(payload(await textOf(reversed))).toBe(payload(await textOf(id)));
      }),
      { numRuns: runs(15) },
    );
  });
});

describe("GET exposures", () => {
  const now = Date.UTC(2026, 5, 20, 10, 30);
  const exposure = (id: string, identifier: string, timestamp: number, value = "control"): Event => ({
    environment_key: id,
    feature_name: FEATURE,
    identifier,
    value,
    timestamp,
  });

  it.each([
    ["72 h", 72, "hour", 72 * HOUR],
    ["72 h + 1 ms", 4, "day", 72 * HOUR + 1],
    ["1 ms", 1, "hour", 1],
    ["2 h", 2, "hour", 2 * HOUR],
    ["2 h + 1 ms", 3, "hour", 2 * HOUR + 1],
  ])("divides a window of %s into %i buckets of one %s", async (_, points, granularity, length) => {
    const from = Date.UTC(2026, 5, 1);
    const { exposures } = await exposuresOf(newId(), { from, to: from + length }, ["control"]);
    expect(exposures.timeseries.granularity).toBe(granularity);
    expect(exposures.timeseries.points).toHaveLength(points);
  });

  it("is as of the scheduled time of the sweep", async () => {
    const id = newId();
    const from = Date.now() - 5 * HOUR;
    await put(id, { from, to: null });
    const asOf = Math.ceil(Date.now() / HOUR) * HOUR;
    await warehouse.insert([exposure(id, "in time", asOf - 1), exposure(id, "too late", asOf)]);
    await worker.sweep(asOf);
    const response = await worker.exposures(id);
    expect(response.as_of).toBe(iso(asOf));
    expect(response.exposures.total_identities).toBe(1);
    expect(response.exposures.timeseries.points.at(-1).bucket).toBe(iso(asOf - HOUR));
  });

  it("has no exposures before the experiment starts, even after a sweep", async () => {
    const [planned, open] = [newId(), newId()];
    await put(planned, { from: Date.now() + HOUR, to: null });
    const body = { environment_key: open, feature_name: FEATURE };
    expect((await worker.call("PUT", `/v1/experiments/${open}`, body)).json.status).toBe("draft");
    await worker.sweep();
    for (const id of [planned, open]) {
      expect(await worker.exposures(id)).toMatchObject({
        status: "draft",
        exposures: null,
        as_of: null,
        last_error_at: null,
      });
    }
  });

  it("has one bucket just after the start", async () => {
    const id = newId();
    const response = await exposuresOf(id, { from: Date.now() - 2, to: null }, ["control"]);
    expect(response.status).toBe("running");
    expect(response.exposures.timeseries.points).toHaveLength(1);
  });

  it("counts late events of an ended experiment until it has settled, and is then final", async () => {
    const id = newId();
    const to = Date.now() - 1000;
    const from = to - 4 * HOUR;
    expect(await exposuresOf(id, { from, to })).toMatchObject({ status: "completed", as_of: iso(to), is_final: false });

    await warehouse.insert([exposure(id, "late", from)]);
    await worker.sweep(to + 30 * 60_000);
    const settling = await worker.exposures(id);
    expect(settling).toMatchObject({ as_of: iso(to), is_final: false, exposures: { total_identities: 1 } });

    await worker.sweep(to + 3600_000 - 1);
    expect(await worker.exposures(id)).toMatchObject({ is_final: false });
    await worker.sweep(to + 3600_000);
    const final = await worker.exposures(id);
    expect(final).toMatchObject({ as_of: iso(to), is_final: true });

    await warehouse.insert([exposure(id, "too late", from)]);
    await worker.sweep(to + 2 * 3600_000);
    expect(await worker.exposures(id)).toEqual(final);
    expect((await worker.call("POST", `/v1/experiments/${id}/exposures/refresh`)).status).toBe(409);
  });

  it("is recomputed when the end of a final experiment moves, on request", async () => {
    const id = newId();
    const from = now - 10 * HOUR;
    await warehouse.insert([exposure(id, "first", from), exposure(id, "second", now - HOUR)]);
    expect(await exposuresOf(id, { from, to: now })).toMatchObject({
      is_final: true,
      exposures: { total_identities: 2 },
    });
    expect((await put(id, { from, to: now - 2 * HOUR })).status).toBe(409);
    await put(id, { from, to: now - 2 * HOUR }, [], "?replace_numbers=true");
    const earlier = await until(
      () => worker.exposures(id),
      ({ is_final, as_of }) => is_final && as_of !== iso(now),
    );
    expect(earlier).toMatchObject({ as_of: iso(now - 2 * HOUR), exposures: { total_identities: 1 } });
  });

  it("stays final and is not recomputed when only the name changes", async () => {
    const id = newId();
    const window = { from: now - HOUR, to: now };
    const { computed_at } = await exposuresOf(id, window, ["control"]);
    const renamed = {
      name: "another",
      environment_key: id,
      feature_name: FEATURE,
      variants: [{ key: "control", weight: 1 }],
    };
    const body = { ...renamed, started_at: iso(window.from), ended_at: iso(window.to) };
    expect((await worker.call("PUT", `/v1/experiments/${id}`, body)).json.name).toBe("another");
    expect(await worker.exposures(id)).toMatchObject({ is_final: true, computed_at, refresh_requested_at: null });
  });

  it("loses its exposures at once when the feature and the start change", async () => {
    const id = newId();
    await exposuresOf(id, { from: now - HOUR, to: null });
    const started = { environment_key: id, feature_name: "another", started_at: iso(Date.now() + HOUR) };
    await worker.call("PUT", `/v1/experiments/${id}`, started);
    expect(await worker.exposures(id)).toMatchObject({
      as_of: null,
      computed_at: null,
      exposures: null,
      is_final: false,
    });
  });

  it("never decreases as_of", async () => {
    const id = newId();
    const ahead = Date.now() + HOUR;
    await put(id, { from: ahead - 3 * HOUR, to: null });
    await worker.sweep(ahead);
    await warehouse.insert([exposure(id, "ann", ahead - 2 * HOUR)]);
    await worker.sweep(ahead - HOUR);
    expect(await worker.exposures(id)).toMatchObject({ as_of: iso(ahead), exposures: { total_identities: 1 } });
  });
});
