import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { EXPERIMENTS, type Plan, type PlannedDefinition, type PlannedEvent, type Step } from "./plan.ts";
import { asItIs, type Fault, faults, type WarehouseProxy } from "./proxy.ts";
import type { Event, TestWarehouse } from "./warehouse.ts";
import { FLAGSMITH_SECRET, type LastingWorker, WEBHOOK_SECRET } from "./worker.ts";

/** So many play their parts of the plan side by side. */
const ACTORS = 6;

/** A run goes on until the warehouse was asked so often. */
export const ENOUGH_QUERIES = 400;

export const idOf = (experiment: number) => `chaos-${experiment}`;
const environmentOf = (experiment: number) => `environment-${experiment % 5}`;
/** Each has features of its own, so that the proxy can tell queries apart. */
const featureOf = (experiment: number, feature: string) => `${idOf(experiment)}:${feature}`;
/** What a run leaves behind for those who check it. */
export type Run = {
  events: Event[];
  /** Requests for a refresh that were answered with success, and when they were sent. */
  accepted: { id: string; at: number }[];
  /** Whether an experiment is there; one whose last edit or deletion had no answer is not listed. */
  exists: Map<string, boolean>;
  /** How often everything was killed. */
  kills: number;
  /** Answers that nobody should get. */
  unexpected: string[];
  /** Numbers that were older than what was seen before. */
  wentBack: string[];
};

export type World = { worker: LastingWorker; warehouse: TestWarehouse; proxy: WarehouseProxy; canEvict: boolean };

/** Plays a plan to its end. At its end the faults are off, but nothing has healed yet. */
export async function play(plan: Plan, { worker, warehouse, proxy, canEvict }: World): Promise<Run> {
  const begin = Date.now();
  const time = (planned: number | null) => (planned === null ? null : new Date(begin + planned).toISOString());
  const run: Run = { events: [], accepted: [], exists: new Map(), kills: 0, unexpected: [], wentBack: [] };
  /** Resolved unless everything is dead just now. */
  let up: Promise<unknown> = Promise.resolve();

  function kill(): Promise<unknown> {
    run.kills += 1;
    up = up.then(() => worker.restart());
    return up;
  }

  /** Does it when there is somebody to do it. Null if there was a kill meanwhile: nobody knows what became of it. */
  async function unlessKilled<Answer>(work: () => Promise<Answer>): Promise<Answer | null> {
    for (let seen: unknown; seen !== up; ) {
      seen = up;
      await up;
    }
    const before = run.kills;
    try {
      return await work();
    } catch (error) {
      if (run.kills === before) throw error;
      return null;
    }
  }

  /** Null as above. */
  async function call(expected: number[], ...request: Parameters<LastingWorker["call"]>) {
    const answer = await unlessKilled(() => worker.call(...request));
    if (answer === null || expected.includes(answer.status)) return answer;
    run.unexpected.push(`${request[0]} ${request[1]}: ${answer.status} ${answer.text}`);
    return null;
  }

  async function put(experiment: number, definition: PlannedDefinition): Promise<void> {
    const id = idOf(experiment);
    run.exists.delete(id);
    const at = Date.now();
    const answer = await call([200, 201], "PUT", `/v1/experiments/${id}`, {
      environment_key: environmentOf(experiment),
      feature_name: featureOf(experiment, definition.feature),
      variants: definition.variants.map((key) => ({ key, weight: 1 })),
      started_at: time(definition.start),
      ended_at: time(definition.end),
    });
    if (answer === null) return;
    run.exists.set(id, true);
    run.accepted.push({ id, at });
  }

  async function expose(experiment: number, feature: string, planned: readonly PlannedEvent[]): Promise<void> {
    const names = { environment_key: environmentOf(experiment), feature_name: featureOf(experiment, feature) };
    const events = planned.map(({ identity, variant, at }) => {
      return { ...names, identifier: `identity-${identity}`, value: variant, timestamp: begin + at };
    });
    run.events.push(...events);
    await warehouse.insert(events);
  }

  /** Sends a webhook, and remembers what it says will be refreshed. */
  async function send(path: string, body: unknown, sign: (text: string) => Record<string, string>): Promise<void> {
    const at = Date.now();
    const text = JSON.stringify(body);
    const answer = await call([202], "POST", path, text, { Authorization: "", ...sign(text) });
    for (const id of answer?.json.accepted ?? []) run.accepted.push({ id, at });
  }

  async function perform(step: Step): Promise<void> {
    switch (step.do) {
      case "put":
        return put(step.experiment, step.definition);
      case "delete": {
        const id = idOf(step.experiment);
        run.exists.delete(id);
        const answer = await call([204, 404], "DELETE", `/v1/experiments/${id}`);
        if (answer !== null) run.exists.set(id, false);
        return;
      }
      case "expose":
        for (let copy = 0; copy < step.copies; copy += 1) await expose(step.experiment, step.feature, step.events);
        return;
      case "call": {
        const id = idOf(step.experiment);
        const at = Date.now();
        const answer = await call([202, 404, 409, 429], "POST", `/v1/experiments/${id}/exposures/refresh`);
        if (answer?.status === 202) run.accepted.push({ id, at });
        return;
      }
      case "hint": {
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

  /** Reads everything again and again, as clients do: numbers of one definition must never get older. */
  async function watch(over: () => boolean): Promise<void> {
    const newest = new Map<string, string>();
    while (!over()) {
      const before = await definitions();
      const seen = new Map<string, string>();
      for (const id of before.keys()) {
        const answer = await call([200, 404], "GET", `/v1/experiments/${id}/exposures`);
        if (answer?.status === 200 && answer.json.as_of !== null) seen.set(id, answer.json.as_of);
      }
      const after = await definitions();
      for (const [id, asOf] of seen) {
        const { version, end } = before.get(id) ?? {};
        // Numbers from before the end was moved to an earlier time stay until the next refresh.
        if (version === undefined || version !== after.get(id)?.version || (end && asOf > end)) continue;
        const last = newest.get(version) ?? asOf;
        if (asOf < last) run.wentBack.push(`${version}: from ${last} to ${asOf}`);
        newest.set(version, asOf);
      }
    }
  }

  /** Of each experiment a text that any edit changes, and its end. */
  async function definitions(): Promise<Map<string, { version: string; end: string | null }>> {
    const answer = await call([200], "GET", "/v1/experiments?limit=200");
    const experiments: { id: string; created_at: string; updated_at: string; ended_at: string | null }[] =
      answer?.json.experiments ?? [];
    return new Map(
      experiments.map((one) => [
        one.id,
        { version: `${one.id} ${one.created_at} ${one.updated_at}`, end: one.ended_at },
      ]),
    );
  }

  let answered = 0;
  proxy.spoil((answer, response) => {
    const name = plan.answers[answered++ % plan.answers.length] ?? null;
    const fault: Fault = name === null ? asItIs : name === "slow" ? slow : faults[name];
    fault(answer, response);
  });
  for (let experiment = 0; experiment < EXPERIMENTS; experiment += 1) {
    const { settled = [], first = [] } = plan.history[experiment] ?? {};
    await expose(experiment, "settled", settled);
    await expose(experiment, "first", first);
  }
  const parts = Array.from({ length: ACTORS }, (): Step[] => []);
  plan.definitions.forEach((definition, experiment) => {
    parts[experiment % ACTORS]?.push({ do: "put", experiment, definition });
  });
  plan.steps.forEach((step, index) => {
    parts[ownerOf(step, index) % ACTORS]?.push(step);
  });
  let playing = true;
  const actors = parts.map(async (steps) => {
    for (const step of steps) await perform(step);
  });
  const enough = async () => {
    await Promise.all(actors);
    // What was shared or put off made no query.
    while (proxy.state.queries < ENOUGH_QUERIES) await perform({ do: "sweep" });
  };
  const played = enough().finally(() => {
    playing = false;
  });
  await Promise.all([played, watch(() => !playing)]);
  proxy.spoil(null);
  return run;
}

/** Who alone edits and deletes an experiment knows which was last; and the warehouse has but one door to shut. */
function ownerOf(step: Step, index: number): number {
  if (step.do === "refuse") return 0;
  return step.do === "put" || step.do === "delete" ? step.experiment : index;
}

const slow: Fault = (answer, response) => {
  setTimeout(() => asItIs(answer, response), 400);
};

function signed(id: string, text: string) {
  const now = new Date();
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(WEBHOOK_SECRET).sign(id, now, text),
  };
}
