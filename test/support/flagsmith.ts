import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type EntryInput, entry, metricEntry } from "./flagsmith-shapes.ts";

export const FLAGSMITH_KEY = "flagsmith-api-key-of-the-tests";

type Answer = { status: number; headers?: Record<string, string>; body: string };
/** The ways in which a Flagsmith may misbehave. */
export type Mode = "up" | "down" | "html" | "shape" | "limited" | "endless" | "elsewhere" | "slow";

export type FakeExperiment = EntryInput & {
  /** The allocations of the rollout by option; null: it has none. */
  rollout?: Record<number, number> | null;
};

const ORIGIN = "http://flagsmith.test";

/** A Flagsmith 2.265.0: what `environments/{key}/experiments/` and `experiment-metrics/` answer. */
export function createFlagsmith() {
  const state = {
    mode: "up" as Mode,
    /** Experiments by environment and id. */
    environments: { env: {} } as Record<string, Record<number, FakeExperiment>>,
    /** The events of metrics by id. */
    events: {} as Record<number, string>,
    /** The paths of the requests since the last reset. */
    requests: [] as string[],
  };

  function answer(url: URL, authorization: string | null): Answer {
    state.requests.push(`${url.pathname}${url.search}`);
    const json = (status: number, body: unknown): Answer => {
      return { status, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    };
    switch (state.mode) {
      case "down":
        return { status: 503, body: "Service Unavailable" };
      case "html":
        return {
          status: 200,
          headers: { "Content-Type": "text/html" },
          body: "<!doctype html><title>Flagsmith</title>",
        };
      case "shape":
        return json(200, [{ id: 1 }]);
      case "limited":
        return { ...json(429, { detail: "Request was throttled." }), headers: { "Retry-After": "3600" } };
      default:
    }
    if (authorization !== `Api-Key ${FLAGSMITH_KEY}`) return json(401, { detail: "Valid API Key not found." });
    const [, key = "", list = "", id] = /environments\/([^/]+)\/([^/]+)\/(?:(\d+)\/)?$/.exec(url.pathname) ?? [];
    const experiments = state.environments[key];
    if (experiments === undefined) return json(403, { detail: "You do not have permission to perform this action." });
    const page = (results: unknown[]) => json(200, pageOf(url, results));
    if (list === "experiment-metrics")
      return page(Object.entries(state.events).map(([metric, event]) => metricEntry(Number(metric), event)));
    if (list !== "experiments") return json(404, { detail: "Not found." });
    if (id === undefined)
      return page(
        Object.entries(experiments)
          .map(([each, input]) => entry(Number(each), input))
          .reverse(),
      );
    const experiment = experiments[Number(id)];
    if (experiment === undefined) return json(404, { detail: "No Experiment matches the given query." });
    return json(200, { ...entry(Number(id), experiment), experiment_rollout: rolloutOf(experiment) });
  }

  function pageOf(url: URL, results: unknown[]) {
    const size = Number(url.searchParams.get("page_size") ?? 999);
    const number = Number(url.searchParams.get("page") ?? 1);
    const next = new URL(url);
    next.searchParams.set("page", String(number + 1));
    if (state.mode === "endless")
      return { count: 10_000 * size, next, previous: null, results: [entry(1_000_000 + number)] };
    if (state.mode === "elsewhere") {
      next.host = "evil.test";
      return { count: 2, next, previous: null, results: [entry(1)] };
    }
    const shown = results.slice((number - 1) * size, number * size);
    const counts = { created: 0, running: results.length, paused: 0, completed: 0 };
    return {
      count: results.length,
      next: number * size < results.length ? next : null,
      previous: null,
      results: shown,
      status_counts: counts,
    };
  }

  return {
    state,
    answer,
    /** `fetch` without a network. */
    send: async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
      const authorization = new Headers(init?.headers).get("Authorization");
      const { status, headers, body } = answer(new URL(String(input)), authorization);
      return new Response(body, { status, ...(headers && { headers }) });
    },
    /** Forgets the requests, and returns those for the details of experiments and for lists. */
    takeRequests() {
      const requests = state.requests.splice(0);
      const details = requests.filter((path) => /experiments\/\d+\/$/.test(path));
      return { details, lists: requests.filter((path) => !details.includes(path)) };
    },
  };
}

function rolloutOf({ rollout = { 1: 50 } }: FakeExperiment) {
  if (rollout === null) return null;
  return {
    enabled: true,
    rollout_percentage: 20,
    feature_state_value: { type: "string", value: "off" },
    multivariate_feature_state_values: Object.entries(rollout).map(([option, percentage_allocation]) => {
      return { multivariate_feature_option: Number(option), percentage_allocation };
    }),
  };
}

/** Serves a Flagsmith on a port of this machine. */
export async function startFlagsmith() {
  const flagsmith = createFlagsmith();
  const server = createServer((request, response) => {
    if (flagsmith.state.mode === "slow") return void flagsmith.state.requests.push(request.url ?? "");
    const url = new URL(request.url ?? "", `http://${request.headers.host ?? ORIGIN}`);
    const { status, headers = {}, body } = flagsmith.answer(url, request.headers.authorization ?? null);
    response.writeHead(status, headers).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    ...flagsmith,
    apiUrl: `http://127.0.0.1:${port}/api/v1/`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

export type Flagsmith = Awaited<ReturnType<typeof startFlagsmith>>;
