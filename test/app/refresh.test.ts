import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Fault, faults, startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { users } from "../support/users.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { type CrashableWorker, startCrashableWorker, startWorker, until, WEBHOOK_SECRET } from "../support/worker.ts";

const DAY = 86_400_000;
// Less than 30 days ago: sweeps refresh idle experiments only once an hour.
const STARTED = new Date(Date.now() - 10 * DAY).toISOString();
const ENDED = new Date(Date.now() - 9 * DAY).toISOString();

let warehouse: TestWarehouse;
let proxy: WarehouseProxy;
let worker: CrashableWorker;
/** A worker whose queries soon time out. */
let impatient: CrashableWorker;
let count = 0;

beforeAll(async () => {
  warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  const vars = { REFRESH_MIN_INTERVAL_SECONDS: 1 };
  worker = await startCrashableWorker(proxy.settings, vars);
  impatient = await startCrashableWorker(proxy.settings, { ...vars, QUERY_TIMEOUT_SECONDS: 2 });
});
afterAll(async () => {
  await Promise.all([worker.stop(), impatient.stop()]);
  proxy.stop();
});

/** Returns a new experiment, not created yet, and the actions on it. */
function newExperiment({ call, exposures: exposuresOf, logs: allLogs } = worker) {
  const id = `refresh-${++count}`;
  const path = `/v1/experiments/${id}`;
  const definition = { environment_key: id, feature_name: id, started_at: STARTED };
  const exposures = () => exposuresOf(id);
  const logs = (event: string) => allLogs().filter((line) => line["experiment_id"] === id && line.event === event);
  return {
    id,
    exposures,
    put: (change: Record<string, unknown> = {}) => call("PUT", path, { ...definition, ...change }),
    delete: () => call("DELETE", path),
    requestRefresh: () => call("POST", `${path}/exposures/refresh`),
    requestRecount: () => call("POST", `${path}/exposures/recount`),
    expose: (identifier: string) => {
      const event = { environment_key: id, feature_name: id, identifier, value: "control" };
      return warehouse.insert([{ ...event, timestamp: Date.parse(STARTED) }]);
    },
    sendWebhook() {
      const body = JSON.stringify({ experiment_id: id });
      const [delivery, now] = [`delivery-${++count}`, new Date()];
      return call("POST", "/webhooks/refresh", body, {
        "Content-Type": "application/json",
        "webhook-id": delivery,
        "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
        "webhook-signature": new Webhook(WEBHOOK_SECRET).sign(delivery, now, body),
      });
    },
    /** Waits until there are numbers and no refresh is requested. */
    untilIdle: () =>
      until(exposures, (response) => response.exposures !== null && response.refresh_requested_at === null),
    untilExposed: (identities: number) =>
      until(
        exposures,
        (response) => response.exposures?.total_identities === identities && response.refresh_requested_at === null,
      ),
    untilFailed: () => until(exposures, (response) => response.last_error_at !== null),
    /** Waits for log lines of failed refreshes. (`expect.poll` does not find its test among concurrent ones.) */
    untilFailureLogged: () =>
      until(
        () => logs("refresh.failed"),
        ({ length }) => length > 0,
      ),
    logs,
    injectFault: (fault: Fault | null) => proxy.injectFault(fault, id),
  };
}

const untilHeld = (queries: number) =>
  until(
    () => proxy.state.waiting,
    (waiting) => waiting >= queries,
  );

describe("refreshes of one experiment", () => {
  it("never overlap: a burst of webhooks, sweeps and manual requests takes at most five queries", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.untilIdle();
    proxy.reset();
    proxy.closeGate();
    const sweeps = [worker.sweep(), worker.sweep(), worker.sweep()];
    await untilHeld(1);
    await experiment.expose("during the refresh");
    const requests = Array.from({ length: 30 }, (_, index) =>
      index % 2 === 0 ? experiment.sendWebhook() : experiment.requestRefresh(),
    );
    const accepted = (await Promise.all(requests)).filter(({ status }) => status === 202);
    expect(accepted.length).toBeGreaterThanOrEqual(16);
    sweeps.push(worker.sweep(), worker.sweep());
    proxy.openGate();
    await Promise.all(sweeps);
    await experiment.untilExposed(1);
    expect(proxy.state.maxConcurrent).toBe(1);
    expect(proxy.state.queries).toBeGreaterThanOrEqual(2);
    expect(proxy.state.queries).toBeLessThanOrEqual(5);
  });

  it("run in parallel with those of other experiments", async () => {
    const experiments = Array.from({ length: 5 }, () => newExperiment());
    for (const experiment of experiments) {
      await experiment.put();
      await experiment.untilIdle();
    }
    proxy.reset();
    proxy.closeGate();
    const sweep = worker.sweep();
    await untilHeld(experiments.length);
    proxy.openGate();
    expect(await sweep).toBe(true);
    for (const max of proxy.state.maxConcurrentByFeature.values()) expect(max).toBe(1);
    await Promise.all(experiments.map((experiment) => experiment.delete()));
  });

  it("are discarded when the definition changes meanwhile", async () => {
    const experiment = newExperiment();
    await experiment.expose("ann");
    proxy.closeGate();
    await experiment.put();
    await untilHeld(1);
    await experiment.put({ feature_name: "another", variants: [{ key: "changed", weight: 1 }] });
    proxy.openGate();
    const { exposures } = await experiment.untilIdle();
    expect(exposures).toMatchObject({ total_identities: 0, variants: { changed: 0 } });
  });

  it("are discarded when the end changes meanwhile", async () => {
    const experiment = newExperiment();
    proxy.closeGate();
    await experiment.put();
    await untilHeld(1);
    await experiment.put({ ended_at: ENDED });
    proxy.openGate();
    expect(await experiment.untilIdle()).toMatchObject({ as_of: ENDED, is_final: true });
  });

  it("serve a request that arrives during the last refresh with final numbers", async () => {
    const experiment = newExperiment();
    proxy.closeGate();
    await experiment.put({ ended_at: ENDED });
    await untilHeld(1);
    expect((await experiment.requestRefresh()).status).toBe(202);
    proxy.openGate();
    expect(await experiment.untilIdle()).toMatchObject({ is_final: true });
  });

  it("are discarded when the experiment is deleted meanwhile, even if it is created again", async () => {
    const experiment = newExperiment();
    await experiment.expose("ann");
    proxy.closeGate();
    await experiment.put();
    await untilHeld(1);
    expect((await experiment.delete()).status).toBe(204);
    await experiment.put({ feature_name: "another" });
    proxy.openGate();
    expect((await experiment.untilIdle()).exposures.total_identities).toBe(0);
    await experiment.delete();
    expect((await worker.call("GET", `/v1/experiments/${experiment.id}/exposures`)).status).toBe(404);
  });

  it("survive a crash once a manual request is accepted", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.untilIdle();
    await experiment.expose("ann");
    expect((await experiment.requestRefresh()).status).toBe(202);
    await worker.crash(experiment.id);
    await experiment.untilExposed(1);
    await experiment.delete();
  });

  it("survive a crash once a recount of final numbers is accepted", async () => {
    const experiment = newExperiment();
    await experiment.put({ ended_at: ENDED });
    expect(await experiment.untilIdle()).toMatchObject({ is_final: true });
    await experiment.expose("ann");
    expect((await experiment.requestRecount()).status).toBe(202);
    await worker.crash(experiment.id);
    expect(await experiment.untilExposed(1)).toMatchObject({ is_final: true });
  });

  it("survive a crash once a webhook is postponed", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.untilIdle();
    await experiment.sendWebhook();
    await experiment.untilIdle();
    await experiment.expose("ann");
    expect((await experiment.sendWebhook()).json).toEqual({ accepted: [experiment.id], skipped: [] });
    await worker.crash(experiment.id);
    await experiment.untilExposed(1);
    await experiment.delete();
  });
});

// Concurrent, because each test waits several seconds for a retry. A sweep in the meantime would refresh first.
describe.concurrent("a failed refresh", () => {
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
  ] as const)("keeps the last good numbers, sets last_error_at, logs one line and is retried: %s", async (fault) => {
    const experiment = newExperiment(fault.startsWith("hanging") ? impatient : worker);
    await experiment.expose("ann");
    await experiment.put();
    const good = await experiment.untilIdle();
    await experiment.expose("bob");
    experiment.injectFault(faults[fault]);
    await experiment.requestRefresh();
    const marked = { ...good, last_error_at: expect.any(String), refresh_requested_at: expect.any(String) };
    expect(await experiment.untilFailed()).toEqual(marked);
    expect(await experiment.untilFailureLogged()).toMatchObject([{ transient: true, level: "warn" }]);
    experiment.injectFault(null);
    expect(await experiment.untilExposed(2)).toMatchObject({ last_error_at: null });
    await experiment.delete();
  });

  it("does not count towards the interval between manual requests", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.untilIdle();
    experiment.injectFault(faults["status 500"]);
    expect((await experiment.requestRefresh()).status).toBe(202);
    await experiment.untilFailed();
    expect((await experiment.requestRefresh()).status).toBe(202);
    experiment.injectFault(null);
    await experiment.untilIdle();
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
    "recovers from a permanent failure, which keeps the last good numbers, sets last_error_at and logs one line: %s",
    async (fault) => {
      const experiment = newExperiment();
      await experiment.put();
      const good = await experiment.untilIdle();
      experiment.injectFault(faults[fault]);
      await experiment.requestRefresh();
      const marked = { ...good, last_error_at: expect.any(String), refresh_requested_at: expect.any(String) };
      expect(await experiment.untilFailed()).toEqual(marked);
      expect(await experiment.untilFailureLogged()).toMatchObject([{ transient: false, level: "error" }]);
      experiment.injectFault(null);
      await worker.sweep();
      expect(await experiment.exposures()).toMatchObject({ last_error_at: null, refresh_requested_at: null });
      await experiment.delete();
    },
  );

  it("refreshes the other experiments when one fails, and ends as failed", async () => {
    const [bad, good] = [newExperiment(), newExperiment()];
    for (const experiment of [bad, good]) {
      await experiment.put();
      await experiment.untilIdle();
    }
    bad.injectFault(faults["a negative count"]);
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

describe("a misconfigured warehouse", () => {
  it.each([
    ["a wrong password", { password: "mistaken" }, "credentials"],
    ["a missing table", { table: "nothing" }, "missing_table"],
    [
      "a user with readonly = 1",
      { user: users.readonly1.name, password: users.readonly1.password },
      "settings_refused",
    ],
    // workerd's test harness has a proxy of its own, which turns a refused connection into a 500.
    ["an unreachable server", { url: new URL("http://127.0.0.1:1") }, /^(unreachable|server_error)$/],
  ])("leads to one log line with advice, last_error_at and no numbers: %s", async (_, settings, kind) => {
    const broken = await startWorker({ ...warehouse.settings, ...settings });
    const body = { environment_key: "env", feature_name: "button", started_at: STARTED };
    await broken.call("PUT", "/v1/experiments/broken", body);
    const response = await until(
      () => broken.exposures("broken"),
      ({ last_error_at }) => last_error_at !== null,
    );
    expect(response).toMatchObject({ exposures: null, as_of: null, computed_at: null });
    const failures = () => broken.logs().filter(({ event }) => event === "refresh.failed");
    await expect
      .poll(failures)
      .toMatchObject([{ experiment_id: "broken", kind: expect.stringMatching(kind), advice: expect.any(String) }]);
    expect(JSON.stringify(broken.logs())).not.toMatch(/mistaken|readonly1|FROM|environment_key|\\n/);
    await broken.stop();
  });
});
