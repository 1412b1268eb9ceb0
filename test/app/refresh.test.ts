import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Fault, faults, startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { users } from "../support/users.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until, WEBHOOK_SECRET } from "../support/worker.ts";

const STARTED = "2026-06-01T00:00:00.000Z";

let warehouse: TestWarehouse;
let proxy: WarehouseProxy;
let worker: TestWorker;
let count = 0;

beforeAll(async () => {
  warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  worker = await startWorker(proxy.settings, { QUERY_TIMEOUT_SECONDS: 2, REFRESH_MIN_INTERVAL_SECONDS: 1 });
});
afterAll(async () => {
  await worker.stop();
  proxy.stop();
});

/** An experiment of one's own, not created yet, and everything that may happen to it. */
function newExperiment() {
  const id = `refresh-${++count}`;
  const address = `/v1/experiments/${id}`;
  const definition = { environment_key: id, feature_name: id, started_at: STARTED };
  const exposures = () => worker.exposures(id);
  const logs = (event: string) => worker.logs().filter((line) => line["experiment_id"] === id && line.event === event);
  return {
    id,
    exposures,
    put: (change: Record<string, unknown> = {}) => worker.call("PUT", address, { ...definition, ...change }),
    delete: () => worker.call("DELETE", address),
    call: () => worker.call("POST", `${address}/exposures/refresh`),
    expose: (identifier: string) => {
      const event = { environment_key: id, feature_name: id, identifier, value: "control" };
      return warehouse.insert([{ ...event, timestamp: Date.parse(STARTED) }]);
    },
    hint() {
      const body = JSON.stringify({ experiment_id: id });
      const [delivery, now] = [`delivery-${++count}`, new Date()];
      return worker.call("POST", "/webhooks/refresh", body, {
        "Content-Type": "application/json",
        "webhook-id": delivery,
        "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
        "webhook-signature": new Webhook(WEBHOOK_SECRET).sign(delivery, now, body),
      });
    },
    /** Resolves with its answer once it has numbers and nothing is asked for. */
    idle: () => until(exposures, (answer) => answer.exposures !== null && answer.refresh_requested_at === null),
    exposed: (identities: number) =>
      until(
        exposures,
        (answer) => answer.exposures?.total_identities === identities && answer.refresh_requested_at === null,
      ),
    failed: () => until(exposures, (answer) => answer.last_error_at !== null),
    /** Its lines of the log. (`expect.poll` does not know its test where tests run side by side.) */
    failure: () =>
      until(
        () => logs("refresh.failed"),
        ({ length }) => length > 0,
      ),
    logs,
    spoil: (fault: Fault | null) => proxy.spoil(fault, id),
  };
}

const held = (queries: number) =>
  until(
    () => proxy.state.waiting,
    (waiting) => waiting >= queries,
  );

describe("refreshes of one experiment", () => {
  it("never run side by side: a burst of webhooks, sweeps and calls needs at most a handful of queries", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.idle();
    proxy.reset();
    proxy.closeGate();
    const sweeps = [worker.sweep(), worker.sweep(), worker.sweep()];
    await held(1);
    await experiment.expose("came meanwhile");
    const asks = Array.from({ length: 30 }, (_, index) => (index % 2 === 0 ? experiment.hint() : experiment.call()));
    const accepted = (await Promise.all(asks)).filter(({ status }) => status === 202);
    expect(accepted.length).toBeGreaterThanOrEqual(16);
    sweeps.push(worker.sweep(), worker.sweep());
    proxy.openGate();
    await Promise.all(sweeps);
    await experiment.exposed(1);
    expect(proxy.state.mostAtOnce).toBe(1);
    expect(proxy.state.queries).toBeGreaterThanOrEqual(2);
    expect(proxy.state.queries).toBeLessThanOrEqual(5);
  });

  it("run beside those of other experiments", async () => {
    const experiments = Array.from({ length: 5 }, newExperiment);
    for (const experiment of experiments) {
      await experiment.put();
      await experiment.idle();
    }
    proxy.reset();
    proxy.closeGate();
    const sweep = worker.sweep();
    await held(experiments.length);
    proxy.openGate();
    expect(await sweep).toBe(true);
    for (const most of proxy.state.mostAtOnceByFeature.values()) expect(most).toBe(1);
    await Promise.all(experiments.map((experiment) => experiment.delete()));
  });

  it("are not stored for a definition that was changed meanwhile", async () => {
    const experiment = newExperiment();
    await experiment.expose("ann");
    proxy.closeGate();
    await experiment.put();
    await held(1);
    await experiment.put({ feature_name: "another", variants: [{ key: "changed", weight: 1 }] });
    proxy.openGate();
    const { exposures } = await experiment.idle();
    expect(exposures).toMatchObject({ total_identities: 0, variants: { changed: 0 } });
  });

  it("are not stored for an end that was moved meanwhile", async () => {
    const experiment = newExperiment();
    proxy.closeGate();
    await experiment.put();
    await held(1);
    await experiment.put({ ended_at: "2026-06-01T05:00:00.000Z" });
    proxy.openGate();
    expect(await experiment.idle()).toMatchObject({ as_of: "2026-06-01T05:00:00.000Z", is_final: true });
  });

  it("answer with final numbers also who asked while they were computed", async () => {
    const experiment = newExperiment();
    proxy.closeGate();
    await experiment.put({ ended_at: "2026-06-01T05:00:00.000Z" });
    await held(1);
    expect((await experiment.call()).status).toBe(202);
    proxy.openGate();
    expect(await experiment.idle()).toMatchObject({ is_final: true });
  });

  it("are not stored for an experiment that was deleted meanwhile, nor for its successor", async () => {
    const experiment = newExperiment();
    await experiment.expose("ann");
    proxy.closeGate();
    await experiment.put();
    await held(1);
    expect((await experiment.delete()).status).toBe(204);
    await experiment.put({ feature_name: "another" });
    proxy.openGate();
    expect((await experiment.idle()).exposures.total_identities).toBe(0);
    await experiment.delete();
    expect((await worker.call("GET", `/v1/experiments/${experiment.id}/exposures`)).status).toBe(404);
  });

  it("happen once a call is accepted, though everything is forgotten", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.idle();
    await experiment.expose("ann");
    expect((await experiment.call()).status).toBe(202);
    await worker.crash(experiment.id);
    await experiment.exposed(1);
    await experiment.delete();
  });

  it("happen once a hint is put off, though everything is forgotten", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.idle();
    await experiment.hint();
    await experiment.idle();
    await experiment.expose("ann");
    expect((await experiment.hint()).json).toEqual({ accepted: [experiment.id], skipped: [] });
    await worker.crash(experiment.id);
    await experiment.exposed(1);
    await experiment.delete();
  });
});

// Side by side, because each waits some seconds for a retry; no sweep may serve them meanwhile.
describe.concurrent("a refresh", () => {
  it.each([
    "reset",
    "hanging before the headers",
    "hanging inside the body",
    "cut inside the body",
    "truncated JSON",
    "status 500",
    "HTML from a proxy, as a 502",
    "HTML from a proxy, as a 200",
    "too many queries",
    "an exception inside a 200, as a key",
  ] as const)("that fails keeps the last good answer, marks it, logs one line and is retried: %s", async (fault) => {
    const experiment = newExperiment();
    await experiment.expose("ann");
    await experiment.put();
    const good = await experiment.idle();
    await experiment.expose("bob");
    experiment.spoil(faults[fault]);
    await experiment.call();
    const marked = { ...good, last_error_at: expect.any(String), refresh_requested_at: expect.any(String) };
    expect(await experiment.failed()).toEqual(marked);
    expect(await experiment.failure()).toMatchObject([{ transient: true, level: "warn" }]);
    experiment.spoil(null);
    expect(await experiment.exposed(2)).toMatchObject({ last_error_at: null });
    await experiment.delete();
  });

  it("that fails is not charged to the call that asked for it", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.idle();
    experiment.spoil(faults["status 500"]);
    expect((await experiment.call()).status).toBe(202);
    await experiment.failed();
    expect((await experiment.call()).status).toBe(202);
    experiment.spoil(null);
    await experiment.idle();
    await experiment.delete();
  });
});

describe("a sweep", () => {
  it.each([
    "rows of another shape",
    "a negative count",
    "an unsafe count",
    "an exception inside a 200, after the data",
  ] as const)(
    "heals what failed for good: %s keeps the last good answer, marks it and logs one line",
    async (fault) => {
      const experiment = newExperiment();
      await experiment.put();
      const good = await experiment.idle();
      experiment.spoil(faults[fault]);
      await experiment.call();
      const marked = { ...good, last_error_at: expect.any(String), refresh_requested_at: expect.any(String) };
      expect(await experiment.failed()).toEqual(marked);
      expect(await experiment.failure()).toMatchObject([{ transient: false, level: "error" }]);
      experiment.spoil(null);
      await worker.sweep();
      expect(await experiment.exposures()).toMatchObject({ last_error_at: null, refresh_requested_at: null });
      await experiment.delete();
    },
  );

  it("with failures refreshes the others and ends as failed", async () => {
    const [bad, good] = [newExperiment(), newExperiment()];
    for (const experiment of [bad, good]) {
      await experiment.put();
      await experiment.idle();
    }
    bad.spoil(faults["a negative count"]);
    await good.expose("ann");
    worker.clearLines();
    expect(await worker.sweep()).toBe(false);
    expect(await good.exposures()).toMatchObject({ exposures: { total_identities: 1 }, last_error_at: null });
    const finished = () => worker.logs().filter(({ event }) => event === "sweep.finished");
    await expect.poll(finished).toMatchObject([{ failed: 1, level: "error" }]);
    await bad.delete();
    await good.delete();
  });
});

describe("what no retry can heal", () => {
  it.each([
    ["a wrong password", { password: "mistaken" }, "credentials"],
    ["a missing table", { table: "nothing" }, "missing_table"],
    [
      "a user with readonly = 1",
      { user: users.readonly1.name, password: users.readonly1.password },
      "settings_refused",
    ],
    // The test harness of workerd has a proxy of its own, which answers a refused connection with a 500.
    ["nobody there", { url: new URL("http://127.0.0.1:1") }, /^(unreachable|server_error)$/],
  ])("%s is one line of the log, one mark, and no number", async (_, settings, kind) => {
    const broken = await startWorker({ ...warehouse.settings, ...settings });
    const body = { environment_key: "env", feature_name: "button", started_at: STARTED };
    await broken.call("PUT", "/v1/experiments/broken", body);
    const answer = await until(
      () => broken.exposures("broken"),
      ({ last_error_at }) => last_error_at !== null,
    );
    expect(answer).toMatchObject({ exposures: null, as_of: null, computed_at: null });
    const lines = () => broken.logs().filter(({ event }) => event === "refresh.failed");
    await expect
      .poll(lines)
      .toMatchObject([{ experiment_id: "broken", kind: expect.stringMatching(kind), advice: expect.any(String) }]);
    expect(JSON.stringify(broken.logs())).not.toMatch(/mistaken|readonly1|FROM|environment_key|\\n/);
    await broken.stop();
  });
});
