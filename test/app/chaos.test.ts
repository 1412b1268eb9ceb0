import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { Aggregation, Metric } from "../../src/experiment.ts";
import { countByBruteForce, withMaps } from "../support/brute-force.ts";
import {
  idOf,
  MIN_FAILED_RESULTS,
  MIN_FAILURES,
  MIN_QUERIES,
  MIN_SUCCESSES,
  type Run,
  runPlan,
} from "../support/chaos.ts";
import { metricsByBruteForce } from "../support/metrics-by-brute-force.ts";
import { EXPERIMENTS, planFor } from "../support/plan.ts";
import { startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { type CrashableWorker, startCrashableWorker, until } from "../support/worker.ts";

/** Each seed is another run. The same seed repeats the steps, but not their timing. */
const SEED = Number(process.env["SEED"] ?? 20_261_122);
/** After the run, no query may time out merely because the machine is busy. */
const LONG_TIMEOUT = { QUERY_TIMEOUT_SECONDS: "60" };

let proxy: WarehouseProxy;
let worker: CrashableWorker;
let run: Run;
beforeAll(async () => {
  const warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  worker = await startCrashableWorker(proxy.settings, {
    QUERY_TIMEOUT_SECONDS: 1,
    REFRESH_MIN_INTERVAL_SECONDS: 1,
  });
  run = await runPlan(planFor(SEED), { worker, warehouse, proxy, canEvict: inject("runtime") === "workerd" });
  await worker.restart(LONG_TIMEOUT);
});
afterAll(async () => {
  await worker.stop();
  proxy.stop();
});

type Experiment = {
  id: string;
  status: string;
  environment_key: string;
  feature_name: string;
  started_at: string;
  variants: { key: string }[];
  metrics: { key: string; event: string; aggregation: Aggregation }[];
};

type FoundMetric = {
  key: string;
  invalid_values: number;
  variants: Record<string, { identities: number; sum: number }>;
};

const metricOf = (metric: Experiment["metrics"][number]): Metric => ({
  ...metric,
  name: metric.key,
  expectedDirection: "increase",
  conversionWindowHours: null,
  lookbackDays: 0,
});
const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);

async function started(): Promise<Experiment[]> {
  const { experiments } = (await worker.call("GET", "/v1/experiments?limit=200")).json;
  return experiments.filter(({ status }: Experiment) => status !== "draft");
}

async function withExposures() {
  const experiments = await started();
  return Promise.all(
    experiments.map(async (experiment) => ({ ...experiment, response: await worker.exposures(experiment.id) })),
  );
}

describe(`the service after a run with faults (SEED=${SEED})`, () => {
  it("has attempted several hundred refreshes, with many failures and many successes", () => {
    expect(proxy.state.queries).toBeGreaterThanOrEqual(MIN_QUERIES);
    const count = (event: string) => worker.logs().filter((line) => line.event === event).length;
    expect(count("refresh.failed") + count("results.failed")).toBeGreaterThanOrEqual(MIN_FAILURES);
    expect(count("results.failed")).toBeGreaterThanOrEqual(MIN_FAILED_RESULTS);
    expect(count("refresh.succeeded")).toBeGreaterThanOrEqual(MIN_SUCCESSES);
    expect(run.kills).toBeGreaterThanOrEqual(3);
  });

  it("has sent only expected responses", () => {
    expect(run.unexpected).toEqual([]);
  });

  it("has never decreased as_of", () => {
    expect(run.regressions).toEqual([]);
  });

  it("has never run two queries of one experiment at once", () => {
    // An abandoned query may overlap the next, because the server learns of the abort a moment later.
    expect(proxy.overlaps.filter(({ first }) => !first.aborted)).toEqual([]);
  });

  it("completes accepted requests without a sweep, even if it is killed at once", async () => {
    const requests = (await started()).map(async ({ id }) => {
      const at = Date.now();
      const { status } = await worker.call("POST", `/v1/experiments/${id}/exposures/refresh`);
      return { id, at, status };
    });
    const accepted = (await Promise.all(requests)).filter(({ status }) => status === 202);
    expect(accepted.length).toBeGreaterThanOrEqual(10);
    await worker.restart(LONG_TIMEOUT);
    for (const { id, at } of accepted) {
      const isServed = ({ computed_at }: { computed_at: string | null }) => Date.parse(computed_at ?? "") >= at;
      await until(() => worker.exposures(id), isServed, { seconds: 100 });
    }
  });

  it("recovers with one sweep, and has served every accepted request", async () => {
    expect(await worker.sweep()).toBe(true);
    const responses = new Map((await withExposures()).map(({ id, response }) => [id, response]));
    for (const [id, response] of responses) {
      expect.soft(response, id).toMatchObject({ refresh_requested_at: null, last_error_at: null });
      expect.soft(response.exposures, id).not.toBeNull();
    }
    for (const { id, at } of run.accepted) {
      const response = responses.get(id);
      // Final numbers also serve a request that arrives while they are being stored.
      if (response === undefined || response.is_final) continue;
      expect.soft(Date.parse(response.computed_at), id).toBeGreaterThanOrEqual(at);
    }
  });

  it("has exposures equal to a brute-force count for every experiment", async () => {
    const experiments = await withExposures();
    expect(experiments.length).toBeGreaterThanOrEqual(EXPERIMENTS / 2);
    for (const { id, environment_key, feature_name, variants, started_at, response } of experiments) {
      const query = { environment_key, feature_name, variants: variants.map(({ key }) => key) };
      const window = { from: Date.parse(started_at), to: Date.parse(response.as_of) };
      expect.soft(withMaps(response.exposures), id).toEqual(countByBruteForce(run.events, { ...query, ...window }));
    }
    expect(experiments.filter(({ response }) => response.is_final).length).toBeGreaterThan(0);
    expect(experiments.filter(({ response }) => response.exposures.excluded_identities > 0).length).toBeGreaterThan(0);
  });

  it("has results equal to a brute-force count for every experiment with metrics, as of its exposures", async () => {
    const experiments = (await withExposures()).filter(({ metrics }) => metrics.length > 0);
    expect(experiments.length).toBeGreaterThanOrEqual(EXPERIMENTS / 8);
    for (const { id, environment_key, feature_name, metrics, started_at, response } of experiments) {
      const { as_of, last_error_at, results } = (await worker.call("GET", `/v1/experiments/${id}/results`)).json;
      expect.soft({ as_of, last_error_at }, id).toEqual({ as_of: response.as_of, last_error_at: null });
      const query = { environment_key, feature_name, from: Date.parse(started_at), to: Date.parse(as_of) };
      for (const [index, expected] of metricsByBruteForce(run.events, query, metrics.map(metricOf)).entries()) {
        const found: FoundMetric = results.metrics[index];
        expect.soft([found.key, found.invalid_values], id).toEqual([expected.key, expected.invalidValues]);
        const counted = Object.entries(found.variants).filter(([, { identities }]) => identities > 0);
        const sums = counted.map(([variant, { identities, sum }]) => [variant, identities, sum]);
        const expectedSums = [...expected.variants].map(([variant, { y }]) => [variant, y.length, sumOf(y)]);
        expect.soft(sums.toSorted(), `${id} ${found.key}`).toEqual(expectedSums.toSorted());
      }
    }
    expect(experiments.filter(({ response }) => response.is_final).length).toBeGreaterThan(0);
  });

  it("has no row of a deleted experiment, and one of every other", async () => {
    const rows = (await worker.query("SELECT id FROM experiments")).map(({ id }) => id);
    expect([...run.exists.values()].filter((exists) => !exists).length).toBeGreaterThan(0);
    for (const [id, exists] of run.exists) {
      expect.soft(rows.includes(id), id).toBe(exists);
      const { status } = await worker.call("GET", `/v1/experiments/${id}/exposures`);
      expect.soft(status, id).toBe(exists ? 200 : 404);
    }
    expect(new Set(rows).isSubsetOf(new Set(Array.from({ length: EXPERIMENTS }, (_, index) => idOf(index))))).toBe(
      true,
    );
  });

  it("stays idle when nothing is requested", async () => {
    const before = { queries: proxy.state.queries, lines: worker.lines().length };
    // Longer than the first retry delay, because there is no event to wait for.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect({ queries: proxy.state.queries, lines: worker.lines().length }).toEqual(before);
  });

  it("has logged no bug", () => {
    const bugs = worker.logs().filter(({ event, kind }) => event === "request.failed" || kind === "bug");
    expect(bugs).toEqual([]);
  });
});
