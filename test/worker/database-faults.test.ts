import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countByBruteForce, withMaps } from "../support/brute-force.ts";
import { startMiniflare } from "../support/miniflare.ts";
import { faults, startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";
import { drive, FLAGSMITH_SECRET, until, varsFor, WEBHOOK_SECRET } from "../support/worker.ts";
import type { FaultMode } from "./entries/fault-mode.ts";
import { type Fault, startFaultServer } from "./entries/fault-server.ts";

// The real Worker on a D1 that fails each of its transactions once.

// Less than 30 days ago: sweeps refresh idle experiments only once an hour.
const FROM = Date.now() - 3 * 86_400_000;

/** Starts the Worker with a database, and the server of its faults. */
async function start() {
  const faultServer = await startFaultServer();
  // Longer than a test: a second manual request must always be too soon.
  const vars = varsFor(proxy.settings, { REFRESH_MIN_INTERVAL_SECONDS: 30, FAULT_SERVER_URL: faultServer.url });
  const worker = drive(await startMiniflare(vars, "test/worker/entries/faulty.ts"));
  return { ...worker, intercept: faultServer.intercept, stop: () => worker.stop().finally(faultServer.stop) };
}
type FaultyWorker = Awaited<ReturnType<typeof start>>;

let warehouse: TestWarehouse;
let proxy: WarehouseProxy;
let worker: FaultyWorker;
let count = 0;
/** The ids of the requests that got 503. Each is logged once. */
const unavailable: (string | null)[] = [];
beforeAll(async () => {
  warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  worker = await start();
});
afterAll(async () => {
  await worker.stop();
  proxy.stop();
});

/** A new experiment, not created yet. */
function newExperiment(on = worker) {
  const id = `faulty-${++count}`;
  const path = `/v1/experiments/${id}`;
  const events: Event[] = [];
  const row = async () =>
    (await on.query(`SELECT * FROM experiments LEFT JOIN summaries ON experiment_id = id WHERE id = '${id}'`))[0];
  return {
    id,
    path,
    row,
    put: (name = id) =>
      on.call("PUT", path, {
        name,
        environment_key: id,
        feature_name: id,
        started_at: new Date(FROM).toISOString(),
      }),
    /** Its line of an export. */
    line: JSON.stringify({
      id,
      environment_key: id,
      feature_name: id,
      created_at: new Date(FROM).toISOString(),
      updated_at: new Date(FROM).toISOString(),
      is_final: false,
    }),
    delete: () => on.call("DELETE", path),
    async expose() {
      const identifier = `identity-${events.length}`;
      const event = { environment_key: id, feature_name: id, identifier, value: "control", timestamp: FROM };
      events.push(event);
      await warehouse.insert([event]);
    },
    requestRefresh: () => on.call("POST", `${path}/exposures/refresh`),
    /** Sends a Standard Webhook, always as the same delivery. */
    sendWebhook() {
      const [body, now] = [JSON.stringify({ experiment_id: id }), new Date()];
      return on.call("POST", "/webhooks/refresh", body, {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
        "webhook-signature": new Webhook(WEBHOOK_SECRET).sign(id, now, body),
      });
    },
    sendFlagsmithWebhook() {
      const body = JSON.stringify({ event_type: "FLAG_UPDATED", data: { new_state: { feature: { name: id } } } });
      return on.call("POST", `/webhooks/flagsmith/${id}`, body, {
        "X-Flagsmith-Signature": createHmac("sha256", FLAGSMITH_SECRET).update(body).digest("hex"),
      });
    },
    /** Waits until no refresh is pending, and compares the stored numbers. Reads the database directly. */
    async expectServed() {
      const found = await until(row, (last) => last?.["exposures"] != null && last["refresh_requested_at"] === null);
      const query = {
        environment_key: id,
        feature_name: id,
        variants: [],
        from: FROM,
        to: Number(found?.["as_of"]),
      };
      const exposures = withMaps(JSON.parse(String(found?.["exposures"])));
      expect(exposures).toEqual(countByBruteForce(events, query));
    },
  };
}
type Experiment = ReturnType<typeof newExperiment>;
type ApiResponse = Awaited<ReturnType<typeof worker.call>>;

/** Creates the experiment with an exposure, and adds another one after its first refresh. */
async function createExposed(experiment: Experiment): Promise<void> {
  await experiment.expose();
  await create(experiment);
  await experiment.expose();
}

/** Creates the experiment, and waits for its first refresh. */
async function create(experiment: Experiment): Promise<void> {
  // On a busy machine, D1 may time out without a fault.
  await until(experiment.put, ({ status }) => status !== 503);
  await experiment.expectServed();
}

/** A request, with its preparation and its effect. */
type Scenario = {
  prepare(experiment: Experiment): Promise<void>;
  request(experiment: Experiment): Promise<ApiResponse>;
  success: number;
  /** The status of a retry after a commit whose response was lost, if not `success`. */
  repeated?: number;
  /** The value that identifies the transactions, if not the experiment's id. */
  transactionValue?(experiment: Experiment): string;
  expectEffect(experiment: Experiment): Promise<void>;
};
const expectServed = (experiment: Experiment) => experiment.expectServed();
const nothing = async () => undefined;

/** API keys, or their ids, by the id of the experiment. */
const keys = new Map<string, string>();

const scenarios: Record<string, Scenario> = {
  "a manual request whose query fails": {
    async prepare(experiment) {
      await createExposed(experiment);
      proxy.injectFault((upstream, response) => {
        proxy.injectFault(null, experiment.id);
        faults["status 500"](upstream, response);
      }, experiment.id);
    },
    request: (experiment) => experiment.requestRefresh(),
    success: 202,
    // The first request was recorded, so a retry is too soon. The refresh happens without a sweep.
    repeated: 429,
    expectEffect: expectServed,
  },
  "PUT of a new experiment": {
    prepare: (experiment) => experiment.expose(),
    request: (experiment) => experiment.put(),
    success: 201,
    repeated: 200,
    expectEffect: expectServed,
  },
  "PUT of an edit": {
    prepare: createExposed,
    request: (experiment) => experiment.put("renamed"),
    success: 200,
    expectEffect: expectServed,
  },
  "GET of an experiment": {
    prepare: create,
    request: (experiment) => worker.call("GET", experiment.path),
    success: 200,
    expectEffect: nothing,
  },
  "GET of the list": {
    prepare: create,
    request: (experiment) => worker.call("GET", `/v1/experiments?environment_key=${experiment.id}`),
    success: 200,
    expectEffect: nothing,
  },
  "GET of exposures": {
    prepare: create,
    request: (experiment) => worker.call("GET", `${experiment.path}/exposures`),
    success: 200,
    expectEffect: nothing,
  },
  "GET of exposures with a key": {
    async prepare(experiment) {
      await create(experiment);
      const { json } = await worker.call("POST", "/v1/api-keys", { name: "reader", role: "read" });
      keys.set(experiment.id, json.key);
    },
    request: (experiment) =>
      worker.call("GET", `${experiment.path}/exposures`, undefined, {
        Authorization: `Bearer ${keys.get(experiment.id)}`,
      }),
    success: 200,
    expectEffect: nothing,
  },
  "POST of an API key": {
    prepare: nothing,
    request: (experiment) => worker.call("POST", "/v1/api-keys", { name: experiment.id, role: "read" }),
    success: 201,
    expectEffect: nothing,
  },
  "DELETE of an API key": {
    async prepare(experiment) {
      const { json } = await worker.call("POST", "/v1/api-keys", { name: experiment.id, role: "read" });
      keys.set(experiment.id, json.id);
    },
    request: (experiment) => worker.call("DELETE", `/v1/api-keys/${keys.get(experiment.id)}`),
    success: 204,
    repeated: 404,
    transactionValue: (experiment) => keys.get(experiment.id) ?? "",
    expectEffect: nothing,
  },
  "an import": {
    prepare: nothing,
    request: (experiment) =>
      worker.call("POST", "/v1/import", experiment.line, { "Content-Type": "application/jsonl" }),
    success: 200,
    expectEffect: async (experiment) => expect(await experiment.row()).toMatchObject({ name: experiment.id }),
  },
  "a manual request": {
    prepare: createExposed,
    request: (experiment) => experiment.requestRefresh(),
    success: 202,
    repeated: 429,
    expectEffect: expectServed,
  },
  "a signed webhook": {
    prepare: createExposed,
    request: (experiment) => experiment.sendWebhook(),
    success: 202,
    expectEffect: expectServed,
  },
  "a Flagsmith webhook": {
    prepare: createExposed,
    request: (experiment) => experiment.sendFlagsmithWebhook(),
    success: 202,
    expectEffect: expectServed,
  },
  "DELETE of an experiment": {
    prepare: create,
    request: (experiment) => experiment.delete(),
    success: 204,
    repeated: 404,
    expectEffect: async (experiment) => expect(await experiment.row()).toBeUndefined(),
  },
};

/** Runs a scenario with or without a fault, and returns its transactions. */
async function run(scenario: Scenario, fault: Fault | null): Promise<string[]> {
  const { prepare, request, success, repeated, transactionValue, expectEffect } = scenario;
  const experiment = newExperiment();
  await prepare(experiment);
  const interception = worker.intercept(transactionValue?.(experiment) ?? experiment.id, fault);
  const response = await request(experiment);
  if (fault !== null && response.status === 503) {
    unavailable.push(response.headers.get("X-Request-Id"));
    expect(response.headers.get("Retry-After")).toMatch(/^[1-9]\d*$/);
    expect(response.headers.get("Content-Type")).toBe("application/problem+json");
    expect(response.text).not.toMatch(/D1_ERROR|SELECT|UPDATE|INSERT/);
    const isCommitted = fault.mode === "commit and lose the response";
    expect((await request(experiment)).status).toBe(isCommitted ? (repeated ?? success) : success);
  } else {
    expect(response.status).toBe(success);
  }
  await expectEffect(experiment);
  if (fault !== null) {
    expect(interception.transactions.length).toBeGreaterThan(fault.index);
    if (response.status !== 503) await expectFailedRefresh(experiment);
  }
  interception.end();
  await experiment.delete();
  return interception.transactions;
}

/** Waits until a refresh that failed in D1 is logged, and until a later one succeeds. */
async function expectFailedRefresh(experiment: Experiment): Promise<void> {
  const lines = () =>
    worker.logs().filter(({ experiment_id, kind }) => experiment_id === experiment.id && kind === "storage");
  await until(lines, ({ length }) => length > 0);
  expect(lines()[0]).toMatchObject({ event: "refresh.failed" });
  await experiment.expectServed();
}

const FAULTS = ["fail", "commit and lose the response", "hang"] as const satisfies FaultMode[];

describe.concurrent("a failed, lost or hanging transaction in D1", () => {
  it.each(Object.entries(scenarios))(
    "leads to a 503 or to a later refresh, and a retry repairs it: %s",
    async (_, scenario) => {
      const { length } = await run(scenario, null);
      expect(length).toBeGreaterThan(0);
      const faults = FAULTS.flatMap((mode) => Array.from({ length }, (_, index) => ({ index, mode })));
      const runs = faults.map(async (fault) => {
        const failed = (error: unknown) => new Error(`transaction ${fault.index}: ${fault.mode}`, { cause: error });
        await run(scenario, fault).catch((error: unknown) => Promise.reject(failed(error)));
      });
      await Promise.all(runs);
    },
  );
});

// Beside the tests above, but in order: each fault hits the next transaction of a Worker, in which no retry is pending.
describe.concurrent("a failed, lost or hanging transaction of a sweep or an export", () => {
  let worker: FaultyWorker;
  beforeAll(async () => {
    worker = await start();
  });
  afterAll(() => worker.stop());

  it("aborts an export, instead of ending it early", { concurrent: false }, async () => {
    const experiment = newExperiment(worker);
    await experiment.expose();
    await experiment.put();
    await experiment.expectServed();
    const complete = await worker.call("GET", "/v1/export");
    expect(complete.text.trim().split("\n")).toHaveLength(1);
    for (const mode of FAULTS) {
      for (const index of [0, 1]) {
        const interception = worker.intercept(null, { index, mode });
        const response = await worker.call("GET", "/v1/export").catch((error: unknown) => error);
        interception.end();
        expect(interception.transactions).toHaveLength(index + 1);
        if (index === 0) expect(response).toMatchObject({ status: 503 });
        else expect(response).toBeInstanceOf(Error);
      }
    }
    const aborted = () => worker.logs().filter(({ event }) => event === "export.failed");
    await until(aborted, ({ length }) => length === FAULTS.length);
    await experiment.delete();
  });

  it.each(FAULTS)(
    "fails a sweep or the dispatcher's list, and the next sweep repairs it: %s",
    { concurrent: false },
    async (mode) => {
      const experiment = newExperiment(worker);
      await createExposed(experiment);
      // The first sweep stores its progress. Without another experiment, the others have nothing to store.
      await worker.sweep();
      const complete = worker.intercept(null, null);
      expect(await worker.sweep()).toBe(true);
      complete.end();
      // The lists of the sweep and of the dispatcher, the experiment, its numbers, and the deletion of old webhooks.
      expect(complete.transactions.length).toBeGreaterThanOrEqual(4);
      for (const index of complete.transactions.keys()) {
        await experiment.expose();
        worker.clearLines();
        const interception = worker.intercept(null, { index, mode });
        const isComplete = await worker.sweep();
        interception.end();
        // The alarm may come a moment after the sweep.
        if (interception.transactions.length <= index) continue;
        // Neither fails the sweep: the dispatcher reads again, and the next sweep looks for failing refreshes again.
        const isBeside = /ORDER BY refresh_due_at|failing_alert/.test(interception.transactions[index] ?? "");
        expect(isComplete).toBe(isBeside);
        const failures = () =>
          worker
            .logs()
            .filter(({ event, kind }) => /^(sweep|dispatcher|alerts)\.failed$/.test(event) || kind === "storage");
        expect(await until(failures, ({ length }) => length > 0)).toHaveLength(1);
        const now = Date.now();
        expect(await worker.sweep(now)).toBe(true);
        expect(await experiment.row()).toMatchObject({ as_of: now });
        await experiment.expectServed();
      }
      await experiment.delete();
    },
  );
});

describe("a 503 because of D1", () => {
  it("is logged once", () => {
    const lines = worker.logs().filter(({ event }) => event === "database.unavailable");
    const byRequest = Map.groupBy(lines, (line) => line["request_id"]);
    for (const id of unavailable) expect(byRequest.get(id), String(id)).toHaveLength(1);
    expect(unavailable.length).toBeGreaterThan(Object.keys(scenarios).length);
  });
});
