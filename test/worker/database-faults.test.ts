import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countByBruteForce, withMaps } from "../support/brute-force.ts";
import { startMiniflare } from "../support/miniflare.ts";
import { faults, startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";
import { drive, FLAGSMITH_SECRET, until, varsFor, WEBHOOK_SECRET } from "../support/worker.ts";
import type { Order } from "./entries/order.ts";
import { type Fault, startOrders } from "./entries/orders.ts";

// The real Worker on a D1 of which every single transaction goes wrong once.

const FROM = Date.UTC(2026, 5, 1);

const start = async (vars: Record<string, string>) =>
  drive(await startMiniflare(vars, "test/worker/entries/faulty.ts"));

let warehouse: TestWarehouse;
let proxy: WarehouseProxy;
let orders: Awaited<ReturnType<typeof startOrders>>;
let worker: Awaited<ReturnType<typeof start>>;
let vars: Record<string, string>;
let count = 0;
/** Answers 503 so far: each must be one line of the log. */
const refused: (string | null)[] = [];
beforeAll(async () => {
  warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  orders = await startOrders();
  // Nobody who calls twice may be let through because the first call is long ago.
  vars = { ...varsFor(proxy.settings, { REFRESH_MIN_INTERVAL_SECONDS: 30 }), ORDERS_URL: orders.url };
  worker = await start(vars);
});
afterAll(async () => {
  await worker.stop();
  orders.stop();
  proxy.stop();
});

/** An experiment of one's own, not created yet. */
function newExperiment() {
  const id = `faulty-${++count}`;
  const address = `/v1/experiments/${id}`;
  const events: Event[] = [];
  const row = async () => (await worker.query(`SELECT * FROM experiments WHERE id = '${id}'`))[0];
  return {
    id,
    address,
    row,
    put: (name = id) =>
      worker.call("PUT", address, {
        name,
        environment_key: id,
        feature_name: id,
        started_at: new Date(FROM).toISOString(),
      }),
    /** As an export has it. */
    line: JSON.stringify({
      id,
      environment_key: id,
      feature_name: id,
      created_at: new Date(FROM).toISOString(),
      updated_at: new Date(FROM).toISOString(),
      is_final: false,
    }),
    delete: () => worker.call("DELETE", address),
    async expose() {
      const identifier = `identity-${events.length}`;
      const event = { environment_key: id, feature_name: id, identifier, value: "control", timestamp: FROM };
      events.push(event);
      await warehouse.insert([event]);
    },
    call: () => worker.call("POST", `${address}/exposures/refresh`),
    /** Always the same delivery. */
    hint() {
      const [body, now] = [JSON.stringify({ experiment_id: id }), new Date()];
      return worker.call("POST", "/webhooks/refresh", body, {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
        "webhook-signature": new Webhook(WEBHOOK_SECRET).sign(id, now, body),
      });
    },
    flagsmith() {
      const body = JSON.stringify({ event_type: "FLAG_UPDATED", data: { new_state: { feature: { name: id } } } });
      return worker.call("POST", `/webhooks/flagsmith/${id}`, body, {
        "X-Flagsmith-Signature": createHmac("sha256", FLAGSMITH_SECRET).update(body).digest("hex"),
      });
    },
    /** Waits until nothing is asked for, and compares the numbers. Looks past the Worker. */
    async served() {
      const found = await until(row, (last) => last?.["exposures"] != null && last["refresh_requested_at"] === null);
      const question = {
        environment_key: id,
        feature_name: id,
        variants: [],
        from: FROM,
        to: Number(found?.["as_of"]),
      };
      const exposures = withMaps(JSON.parse(String(found?.["exposures"])));
      expect(exposures).toEqual(countByBruteForce(events, question));
    },
  };
}
type Experiment = ReturnType<typeof newExperiment>;
type Answer = Awaited<ReturnType<typeof worker.call>>;

async function stored(experiment: Experiment): Promise<void> {
  await experiment.expose();
  // On a machine that is busy, D1 may be late by itself.
  await until(experiment.put, ({ status }) => status !== 503);
  await experiment.served();
  await experiment.expose();
}

/** One thing that a client may ask for. */
type Step = {
  given(experiment: Experiment): Promise<void>;
  request(experiment: Experiment): Promise<Answer>;
  /** Its success, and what else it may be when it is sent again, because it was done though its answer was lost. */
  success: number;
  again?: number;
  /** What its transactions name, if not the experiment. */
  about?(experiment: Experiment): string;
  end(experiment: Experiment): Promise<void>;
};
const served = (experiment: Experiment) => experiment.served();
const nothing = async () => undefined;

/** A key, or its id, for an experiment of that name. */
const keys = new Map<string, string>();

const steps: Record<string, Step> = {
  "a call for a refresh that the warehouse fails": {
    async given(one) {
      await stored(one);
      proxy.spoil((answer, response) => {
        proxy.spoil(null, one.id);
        faults["status 500"](answer, response);
      }, one.id);
    },
    request: (one) => one.call(),
    success: 202,
    // It was noted, so this one is too soon; but the refresh happens, and without a sweep.
    again: 429,
    end: served,
  },
  "PUT of a new experiment": {
    given: (one) => one.expose(),
    request: (one) => one.put(),
    success: 201,
    again: 200,
    end: served,
  },
  "PUT of an edit": { given: stored, request: (one) => one.put("renamed"), success: 200, end: served },
  "GET of an experiment": {
    given: stored,
    request: (one) => worker.call("GET", one.address),
    success: 200,
    end: nothing,
  },
  "GET of the list": {
    given: stored,
    request: (one) => worker.call("GET", `/v1/experiments?environment_key=${one.id}`),
    success: 200,
    end: nothing,
  },
  "GET of exposures": {
    given: stored,
    request: (one) => worker.call("GET", `${one.address}/exposures`),
    success: 200,
    end: nothing,
  },
  "GET of exposures with a key": {
    async given(one) {
      await stored(one);
      const { json } = await worker.call("POST", "/v1/api-keys", { name: "reader", role: "read" });
      keys.set(one.id, json.key);
    },
    request: (one) =>
      worker.call("GET", `${one.address}/exposures`, undefined, { Authorization: `Bearer ${keys.get(one.id)}` }),
    success: 200,
    end: nothing,
  },
  "making an API key": {
    given: nothing,
    request: (one) => worker.call("POST", "/v1/api-keys", { name: one.id, role: "read" }),
    success: 201,
    end: nothing,
  },
  "revoking an API key": {
    async given(one) {
      const { json } = await worker.call("POST", "/v1/api-keys", { name: one.id, role: "read" });
      keys.set(one.id, json.id);
    },
    request: (one) => worker.call("DELETE", `/v1/api-keys/${keys.get(one.id)}`),
    success: 204,
    again: 404,
    about: (one) => keys.get(one.id) ?? "",
    end: nothing,
  },
  "an import": {
    given: nothing,
    request: (one) => worker.call("POST", "/v1/import", one.line, { "Content-Type": "application/jsonl" }),
    success: 200,
    end: async (one) => expect(await one.row()).toMatchObject({ name: one.id }),
  },
  "a call for a refresh": {
    given: stored,
    request: (one) => one.call(),
    success: 202,
    again: 429,
    end: served,
  },
  "a signed webhook": { given: stored, request: (one) => one.hint(), success: 202, end: served },
  "a webhook of Flagsmith": { given: stored, request: (one) => one.flagsmith(), success: 202, end: served },
  "DELETE of an experiment": {
    given: stored,
    request: (one) => one.delete(),
    success: 204,
    again: 404,
    end: async (one) => expect(await one.row()).toBeUndefined(),
  },
};

/** Takes a step, with a fault or without, and returns the transactions that it took. */
async function take({ given, request, success, again, about, end }: Step, fault: Fault | null): Promise<string[]> {
  const one = newExperiment();
  await given(one);
  const watch = orders.watch(about?.(one) ?? one.id, fault);
  const answer = await request(one);
  if (fault !== null && answer.status === 503) {
    refused.push(answer.headers.get("X-Request-Id"));
    expect(answer.headers.get("Retry-After")).toMatch(/^[1-9]\d*$/);
    expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
    expect(answer.text).not.toMatch(/D1_ERROR|SELECT|UPDATE|INSERT/);
    const wasDone = fault.order === "do and lose the answer";
    expect((await request(one)).status).toBe(wasDone ? (again ?? success) : success);
  } else {
    expect(answer.status).toBe(success);
  }
  await end(one);
  if (fault !== null) {
    expect(watch.seen.length).toBeGreaterThan(fault.at);
    if (answer.status !== 503) await failedOnce(one);
  }
  watch.end();
  await one.delete();
  return watch.seen;
}

/** Waits for the line of the log that says that D1 failed a refresh, and for the numbers that come later all the same. */
async function failedOnce({ id, served }: Experiment): Promise<void> {
  const lines = () => worker.logs().filter(({ experiment_id, kind }) => experiment_id === id && kind === "storage");
  await until(lines, ({ length }) => length > 0);
  expect(lines()[0]).toMatchObject({ event: "refresh.failed" });
  await served();
}

const ORDERS = ["fail", "do and lose the answer", "hang"] as const satisfies Order[];

describe.concurrent("each time that it asks D1 and D1 fails, loses its answer or hangs", () => {
  it.each(Object.entries(steps))(
    "%s is answered by a 503 or done later; the next attempt repairs it",
    async (_, step) => {
      const { length } = await take(step, null);
      expect(length).toBeGreaterThan(0);
      const all = ORDERS.flatMap((order) => Array.from({ length }, (_, at) => ({ at, order })));
      const taken = all.map(async (fault) => {
        const failed = (error: unknown) => new Error(`transaction ${fault.at}: ${fault.order}`, { cause: error });
        await take(step, fault).catch((error: unknown) => Promise.reject(failed(error)));
      });
      await Promise.all(taken);
    },
  );
});

describe("a request that D1 fails", () => {
  it("is one line of the log", () => {
    const lines = worker.logs().filter(({ event }) => event === "database.unavailable");
    const named = Map.groupBy(lines, (line) => line["request_id"]);
    for (const id of refused) expect(named.get(id), String(id)).toHaveLength(1);
    expect(refused.length).toBeGreaterThan(Object.keys(steps).length);
  });
});

describe("a sweep or an export, each time that it asks D1", () => {
  // One of its own, where nothing is left that would be tried again.
  beforeAll(async () => {
    await worker.stop();
    worker = await start(vars);
  });

  it("breaks an export off rather than let it end early", async () => {
    const one = newExperiment();
    await one.expose();
    await one.put();
    await one.served();
    const whole = await worker.call("GET", "/v1/export");
    expect(whole.text.trim().split("\n")).toHaveLength(1);
    for (const order of ORDERS) {
      for (const at of [0, 1]) {
        const watch = orders.watch(null, { at, order });
        const answer = await worker.call("GET", "/v1/export").catch((error: unknown) => error);
        watch.end();
        expect(watch.seen).toHaveLength(at + 1);
        if (at === 0) expect(answer).toMatchObject({ status: 503 });
        else expect(answer).toBeInstanceOf(Error);
      }
    }
    const broken = () => worker.logs().filter(({ event }) => event === "export.failed");
    await until(broken, ({ length }) => length === ORDERS.length);
    await one.delete();
  });

  it.each(ORDERS)(
    "is reported as failed, and the next one repairs it: %s",
    async (order) => {
      const one = newExperiment();
      await stored(one);
      const whole = orders.watch(null, null);
      expect(await worker.sweep()).toBe(true);
      whole.end();
      // The list, the experiment, its numbers, and the forgetting of old webhooks.
      expect(whole.seen.length).toBeGreaterThanOrEqual(4);
      for (const at of whole.seen.keys()) {
        await one.expose();
        worker.clearLines();
        const watch = orders.watch(null, { at, order });
        expect(await worker.sweep()).toBe(false);
        watch.end();
        const lines = worker.logs().filter(({ event, kind }) => event === "sweep.failed" || kind === "storage");
        expect(lines).toHaveLength(1);
        const now = Date.now();
        expect(await worker.sweep(now)).toBe(true);
        expect(await one.row()).toMatchObject({ as_of: now });
        await one.served();
      }
      await one.delete();
    },
    120_000,
  );
});
