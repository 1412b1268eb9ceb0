import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { EXPERIMENTS, type Plan, type PlannedDefinition, type PlannedEvent, type Step } from "./plan.ts";
import { type Fault, faults, passThrough, type WarehouseProxy } from "./proxy.ts";
import type { Event, TestWarehouse } from "./warehouse.ts";
import { type CrashableWorker, FLAGSMITH_SECRET, WEBHOOK_SECRET } from "./worker.ts";

/** The number of clients that execute steps of the plan concurrently. */
const CLIENTS = 6;

/** A run sweeps after its last step until it has seen this many queries to the warehouse, and outcomes of refreshes. */
export const MIN_QUERIES = 400;
/** Failures of a whole refresh, or of its metrics query alone. */
export const MIN_FAILURES = 50;
/** After a failed metrics query, the exposures are counted by themselves. */
export const MIN_FAILED_RESULTS = 10;
export const MIN_SUCCESSES = 100;

export const idOf = (experiment: number) => `chaos-${experiment}`;
const environmentOf = (experiment: number) => `environment-${experiment % 5}`;
/** Features are unique to an experiment, so that the proxy can attribute queries. */
const featureOf = (experiment: number, feature: string) => `${idOf(experiment)}:${feature}`;
const purchaseOf = (experiment: number, feature: string) => `${featureOf(experiment, feature)} purchase`;

/** The record of a run, for its assertions. */
export type Run = {
  events: Event[];
  /** The accepted refresh requests, with their send times. */
  accepted: { id: string; at: number }[];
  /** True if the experiment exists. It is missing here if its last edit or deletion got no response. */
  exists: Map<string, boolean>;
  /** The number of kills. */
  kills: number;
  /** Responses with an unexpected status. */
  unexpected: string[];
  /** Decreases of `as_of`. */
  regressions: string[];
};

export type Target = { worker: CrashableWorker; warehouse: TestWarehouse; proxy: WarehouseProxy; canEvict: boolean };

/** Executes a plan. Then the faults are off, but failed refreshes are still pending. */
export async function runPlan(plan: Plan, { worker, warehouse, proxy, canEvict }: Target): Promise<Run> {
  const startedAt = Date.now();
  const time = (planned: number | null) => (planned === null ? null : new Date(startedAt + planned).toISOString());
  const run: Run = { events: [], accepted: [], exists: new Map(), kills: 0, unexpected: [], regressions: [] };
  /** Pending while the runtime restarts. */
  let restarted: Promise<unknown> = Promise.resolve();

  function kill(): Promise<unknown> {
    run.kills += 1;
    restarted = restarted.then(() => worker.restart());
    return restarted;
  }

  /** Runs an operation while the runtime is up. Returns null if a kill interrupted it, because its effect is unknown. */
  async function unlessKilled<Value>(operation: () => Promise<Value>): Promise<Value | null> {
    for (let awaited: unknown; awaited !== restarted; ) {
      awaited = restarted;
      await restarted;
    }
    const killsBefore = run.kills;
    try {
      return await operation();
    } catch (error) {
      if (run.kills === killsBefore) throw error;
      return null;
    }
  }

  /** Sends a request. Returns null after a kill or an unexpected status. */
  async function call(expected: number[], ...request: Parameters<CrashableWorker["call"]>) {
    const response = await unlessKilled(() => worker.call(...request));
    if (response === null || expected.includes(response.status)) return response;
    run.unexpected.push(`${request[0]} ${request[1]}: ${response.status} ${response.text}`);
    return null;
  }

  async function put(experiment: number, definition: PlannedDefinition): Promise<void> {
    const id = idOf(experiment);
    run.exists.delete(id);
    const at = Date.now();
    const response = await call([200, 201], "PUT", `/v1/experiments/${id}?replace_numbers=true`, {
      environment_key: environmentOf(experiment),
      feature_name: featureOf(experiment, definition.feature),
      variants: definition.variants.map((key) => ({ key, weight: 1 })),
      metrics: definition.metrics.map((aggregation) => {
        const event = purchaseOf(experiment, definition.feature);
        return { key: aggregation, event, aggregation, expected_direction: "increase" };
      }),
      started_at: time(definition.start),
      ended_at: time(definition.end),
    });
    if (response === null) return;
    run.exists.set(id, true);
    run.accepted.push({ id, at });
  }

  async function expose(experiment: number, feature: string, planned: readonly PlannedEvent[]): Promise<void> {
    const names = { environment_key: environmentOf(experiment), feature_name: featureOf(experiment, feature) };
    const events = planned.flatMap(({ identity, variant, at, purchase }): Event[] => {
      const exposure = { ...names, identifier: `identity-${identity}`, value: variant, timestamp: startedAt + at };
      if (purchase === null) return [exposure];
      return [exposure, { ...exposure, event: purchaseOf(experiment, feature), value: purchase }];
    });
    run.events.push(...events);
    await warehouse.insert(events);
  }

  /** Sends a webhook, and records the accepted experiments. */
  async function send(path: string, body: unknown, sign: (text: string) => Record<string, string>): Promise<void> {
    const at = Date.now();
    const text = JSON.stringify(body);
    const response = await call([202], "POST", path, text, { Authorization: "", ...sign(text) });
    for (const id of response?.json.accepted ?? []) run.accepted.push({ id, at });
  }

  async function perform(step: Step): Promise<void> {
    switch (step.type) {
      case "put":
        return put(step.experiment, step.definition);
      case "delete": {
        const id = idOf(step.experiment);
        run.exists.delete(id);
        const response = await call([204, 404], "DELETE", `/v1/experiments/${id}`);
        if (response !== null) run.exists.set(id, false);
        return;
      }
      case "expose":
        for (let copy = 0; copy < step.copies; copy += 1) await expose(step.experiment, step.feature, step.events);
        return;
      case "refresh": {
        const id = idOf(step.experiment);
        const at = Date.now();
        const response = await call([202, 404, 409, 429], "POST", `/v1/experiments/${id}/exposures/refresh`);
        if (response?.status === 202) run.accepted.push({ id, at });
        return;
      }
      case "webhook": {
        const delivery = plan.deliveries[step.delivery];
        if (delivery === undefined) return;
        const environment_key = environmentOf(delivery.experiment);
        const bodies = {
          experiment: { experiment_id: idOf(delivery.experiment) },
          feature: { environment_key, feature_name: featureOf(delivery.experiment, "first") },
          environment: { environment_key },
        };
        return send("/webhooks/refresh", bodies[delivery.about], (text) => signed(`delivery-${step.delivery}`, text));
      }
      case "flagsmith": {
        const feature = { name: featureOf(step.experiment, "first") };
        const bodies = {
          feature: { event_type: "FLAG_UPDATED", data: { new_state: { feature } } },
          environment: { event_type: "AUDIT_LOG_CREATED", data: {} },
        };
        const path = `/webhooks/flagsmith/${environmentOf(step.experiment)}`;
        return send(path, bodies[step.about], (text) => ({
          "X-Flagsmith-Signature": createHmac("sha256", FLAGSMITH_SECRET).update(text).digest("hex"),
        }));
      }
      case "read":
        await call([200, 404], "GET", `/v1/experiments/${idOf(step.experiment)}/exposures`);
        return;
      case "sweep":
        await unlessKilled(() => worker.sweep());
        return;
      case "evict":
        if (canEvict) await unlessKilled(() => worker.crash(idOf(step.experiment)));
        return;
      case "kill":
        await kill();
        return;
      case "refuse":
        proxy.refuse();
        await new Promise((resolve) => setTimeout(resolve, step.milliseconds));
        await proxy.accept();
        return;
    }
  }

  /** Polls all exposures, and records each decrease of `as_of` within one definition. */
  async function watchAsOf(isOver: () => boolean): Promise<void> {
    const newest = new Map<string, string>();
    while (!isOver()) {
      const before = await definitions();
      const seen = new Map<string, string>();
      for (const id of before.keys()) {
        const response = await call([200, 404], "GET", `/v1/experiments/${id}/exposures`);
        if (response?.status === 200 && response.json.as_of !== null) seen.set(id, response.json.as_of);
      }
      const after = await definitions();
      for (const [id, asOf] of seen) {
        const { version, end } = before.get(id) ?? {};
        // After an edit to an earlier end, the old numbers stay until the next refresh.
        if (version === undefined || version !== after.get(id)?.version || (end && asOf > end)) continue;
        const last = newest.get(version) ?? asOf;
        if (asOf < last) run.regressions.push(`${version}: from ${last} to ${asOf}`);
        newest.set(version, asOf);
      }
      // Reading without a pause would take the processor from the refreshes.
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  /** Returns the end of each experiment, and a version that changes with any edit. */
  async function definitions(): Promise<Map<string, { version: string; end: string | null }>> {
    const response = await call([200], "GET", "/v1/experiments?limit=200");
    const experiments: { id: string; created_at: string; updated_at: string; ended_at: string | null }[] =
      response?.json.experiments ?? [];
    return new Map(
      experiments.map(({ id, created_at, updated_at, ended_at }) => [
        id,
        { version: `${id} ${created_at} ${updated_at}`, end: ended_at },
      ]),
    );
  }

  let responses = 0;
  proxy.injectFault((upstream, response) => {
    const name = plan.responseFaults[responses++ % plan.responseFaults.length] ?? null;
    const fault: Fault = name === null ? passThrough : name === "slow" ? slow : faults[name];
    fault(upstream, response);
  });
  for (let experiment = 0; experiment < EXPERIMENTS; experiment += 1) {
    const { settled = [], first = [] } = plan.history[experiment] ?? {};
    await expose(experiment, "settled", settled);
    await expose(experiment, "first", first);
  }
  const stepsByClient = Array.from({ length: CLIENTS }, (): Step[] => []);
  plan.definitions.forEach((definition, experiment) => {
    stepsByClient[experiment % CLIENTS]?.push({ type: "put", experiment, definition });
  });
  plan.steps.forEach((step, index) => {
    stepsByClient[clientOf(step, index) % CLIENTS]?.push(step);
  });
  let isRunning = true;
  const clients = stepsByClient.map(async (steps) => {
    for (const step of steps) await perform(step);
  });
  const isEnough = () => {
    const count = (event: string) => worker.logs().filter((line) => line.event === event).length;
    return (
      proxy.state.queries >= MIN_QUERIES &&
      count("refresh.failed") + count("results.failed") >= MIN_FAILURES &&
      count("results.failed") >= MIN_FAILED_RESULTS &&
      count("refresh.succeeded") >= MIN_SUCCESSES
    );
  };
  const executeAll = async () => {
    await Promise.all(clients);
    // Shared and delayed refreshes run fewer queries than there are requests.
    // A slow machine fails more of them.
    while (!isEnough()) await perform({ type: "sweep" });
  };
  const executed = executeAll().finally(() => {
    isRunning = false;
  });
  await Promise.all([executed, watchAsOf(() => !isRunning)]);
  proxy.injectFault(null);
  return run;
}

/**
 * Returns the number that selects the client of a step. One client makes all edits and deletions of an experiment, so
 * that their order is known. One client refuses connections, because the proxy has only one listener.
 */
function clientOf(step: Step, index: number): number {
  if (step.type === "refuse") return 0;
  return step.type === "put" || step.type === "delete" ? step.experiment : index;
}

const slow: Fault = (upstream, response) => {
  setTimeout(() => passThrough(upstream, response), 400);
};

function signed(id: string, text: string) {
  const now = new Date();
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(WEBHOOK_SECRET).sign(id, now, text),
  };
}
