import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { countByBruteForce, withMaps } from "../support/brute-force.ts";
import { ENOUGH_QUERIES, idOf, play, type Run } from "../support/chaos.ts";
import { EXPERIMENTS, planFor } from "../support/plan.ts";
import { startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { type LastingWorker, startLastingWorker, until } from "../support/worker.ts";

/** Another one is another run; the same one repeats what is done, though not who is faster. */
const SEED = Number(process.env["SEED"] ?? 20_261_122);
/** Once nothing goes wrong any more, nothing does because this machine is busy. */
const PATIENT = { QUERY_TIMEOUT_SECONDS: "60" };

let proxy: WarehouseProxy;
let worker: LastingWorker;
let run: Run;
beforeAll(async () => {
  const warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  worker = await startLastingWorker(proxy.settings, {
    QUERY_TIMEOUT_SECONDS: 1,
    REFRESH_MIN_INTERVAL_SECONDS: 1,
  });
  run = await play(planFor(SEED), { worker, warehouse, proxy, canEvict: inject("runtime") === "workerd" });
  await worker.restart(PATIENT);
}, 300_000);
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
};

async function started(): Promise<Experiment[]> {
  const { experiments } = (await worker.call("GET", "/v1/experiments?limit=200")).json;
  return experiments.filter(({ status }: Experiment) => status !== "draft");
}

async function withExposures() {
  const experiments = await started();
  return Promise.all(experiments.map(async (one) => ({ ...one, answer: await worker.exposures(one.id) })));
}

describe(`after a run in which everything went wrong (SEED=${SEED})`, () => {
  it("several hundred refreshes were tried, and many of them failed and many did not", () => {
    expect(proxy.state.queries).toBeGreaterThanOrEqual(ENOUGH_QUERIES);
    const count = (event: string) => worker.logs().filter((line) => line.event === event).length;
    expect(count("refresh.failed")).toBeGreaterThanOrEqual(50);
    expect(count("refresh.succeeded")).toBeGreaterThanOrEqual(100);
    expect(run.kills).toBeGreaterThanOrEqual(3);
  });

  it("every answer was one that a client may get", () => {
    expect(run.unexpected).toEqual([]);
  });

  it("as_of had never gone back", () => {
    expect(run.wentBack).toEqual([]);
  });

  it("no experiment had ever had two queries at once", () => {
    // But for those whose first one nobody waited for any longer: the server hears of that a moment later.
    expect(proxy.overlaps.filter(({ first }) => !first.abandoned)).toEqual([]);
  });

  it("what is accepted now is done without a sweep, though everything is killed at once", async () => {
    const calls = (await started()).map(async ({ id }) => {
      const at = Date.now();
      const { status } = await worker.call("POST", `/v1/experiments/${id}/exposures/refresh`);
      return { id, at, status };
    });
    const accepted = (await Promise.all(calls)).filter(({ status }) => status === 202);
    expect(accepted.length).toBeGreaterThanOrEqual(10);
    await worker.restart(PATIENT);
    for (const { id, at } of accepted) {
      const served = ({ computed_at }: { computed_at: string | null }) => Date.parse(computed_at ?? "") >= at;
      await until(() => worker.exposures(id), served, { seconds: 100 });
    }
  }, 200_000);

  it("one sweep heals everything, and no accepted request is unanswered", async () => {
    expect(await worker.sweep()).toBe(true);
    const answers = new Map((await withExposures()).map(({ id, answer }) => [id, answer]));
    for (const [id, answer] of answers) {
      expect.soft(answer, id).toMatchObject({ refresh_requested_at: null, last_error_at: null });
      expect.soft(answer.exposures, id).not.toBeNull();
    }
    for (const { id, at } of run.accepted) {
      const answer = answers.get(id);
      // Final numbers answer also who asks while they are stored.
      if (answer === undefined || answer.is_final) continue;
      expect.soft(Date.parse(answer.computed_at), id).toBeGreaterThanOrEqual(at);
    }
  });

  it("the numbers of every experiment equal a count by brute force", async () => {
    const experiments = await withExposures();
    expect(experiments.length).toBeGreaterThanOrEqual(EXPERIMENTS / 2);
    for (const { id, environment_key, feature_name, variants, started_at, answer } of experiments) {
      const question = { environment_key, feature_name, variants: variants.map(({ key }) => key) };
      const window = { from: Date.parse(started_at), to: Date.parse(answer.as_of) };
      expect.soft(withMaps(answer.exposures), id).toEqual(countByBruteForce(run.events, { ...question, ...window }));
    }
    expect(experiments.filter(({ answer }) => answer.is_final).length).toBeGreaterThan(0);
    expect(experiments.filter(({ answer }) => answer.exposures.excluded_identities > 0).length).toBeGreaterThan(0);
  });

  it("no row of a deleted experiment is left, and every other is there", async () => {
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

  it("no alarm loops: nothing is asked for, so nothing happens", async () => {
    const before = { queries: proxy.state.queries, lines: worker.lines().length };
    // Longer than the first retry takes; there is no event to wait for.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect({ queries: proxy.state.queries, lines: worker.lines().length }).toEqual(before);
  });

  it("the log names no bug", () => {
    const bugs = worker.logs().filter(({ event, kind }) => event === "request.failed" || kind === "bug");
    expect(bugs).toEqual([]);
  });
});
