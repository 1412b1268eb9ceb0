import { inject } from "vitest";
import type { WarehouseSettings } from "../../src/settings.ts";
import { startDeno } from "./deno.ts";
import { send } from "./http.ts";

declare module "vitest" {
  interface ProvidedContext {
    runtime: "workerd" | "deno";
  }
}

export const ADMIN = "admin-token-of-the-tests";
export const READER = "read-token-of-the-tests";
export const WEBHOOK_SECRET = `whsec_${Buffer.from("standard webhook secret").toString("base64")}`;
export const ALERT_SECRET = `whsec_${Buffer.from("secret of the alerts").toString("base64")}`;
export const FLAGSMITH_SECRET = "flagsmith secret";

export type LogLine = { event: string; level: string; [field: string]: unknown };

/** Returns the vars and secrets of a runtime for a warehouse. */
export function varsFor(
  warehouse: WarehouseSettings,
  vars: Record<string, string | number | boolean> = {},
): Record<string, string> {
  const all = {
    CLICKHOUSE_URL: warehouse.url.href,
    CLICKHOUSE_DATABASE: warehouse.database,
    CLICKHOUSE_USER: warehouse.user,
    CLICKHOUSE_PASSWORD: warehouse.password,
    EVENTS_TABLE: warehouse.table,
    ADMIN_TOKEN: ADMIN,
    READ_TOKEN: READER,
    WEBHOOK_SECRET,
    ALERT_WEBHOOK_SECRET: ALERT_SECRET,
    FLAGSMITH_WEBHOOK_SECRET: FLAGSMITH_SECRET,
    ...vars,
  };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, String(value)]));
}

// Miniflare takes a second to load, so it is imported only where it is used.

/** Starts the product with an empty database, in the runtime of the current Vitest project. */
export async function startRuntime(vars: Record<string, string>) {
  if (inject("runtime") === "deno") return startDeno(vars);
  const { startMiniflare } = await import("./miniflare.ts");
  return startMiniflare(vars);
}

/** Starts the product with a warehouse. */
export async function startWorker(warehouse: WarehouseSettings, vars: Record<string, string | number | boolean> = {}) {
  return drive(await startRuntime(varsFor(warehouse, vars)));
}

/** Starts the product so that its coordinators can crash. */
export async function startCrashableWorker(
  warehouse: WarehouseSettings,
  vars: Record<string, string | number | boolean> = {},
) {
  const all = varsFor(warehouse, vars);
  return drive(await (inject("runtime") === "deno" ? startDeno(all) : startCrashable(all)));
}

async function startCrashable(vars: Record<string, string>) {
  const { startMiniflare } = await import("./miniflare.ts");
  const runtime = await startMiniflare(vars, "test/worker/entries/vanishing.ts");
  /** Aborts the coordinator of an experiment with its work in flight. */
  const crash = async (experimentId: string) => {
    const response = await runtime.fetch("/", { headers: { "X-Vanish": experimentId } });
    await response.body?.cancel();
  };
  return { ...runtime, crash };
}

type Runtime = {
  url: URL;
  fetch(path: string, init: RequestInit & { duplex?: "half" }): Promise<Response>;
  trigger(at: number): Promise<boolean>;
  lines(): string[];
};

/** Adds shorthands for requests, sweeps and logs to a runtime. */
export function drive<R extends Runtime>(runtime: R) {
  // Tests poll the log, so each line is parsed once.
  const parsed = new Map<string, LogLine[]>();

  /** Sends a request, by default as the admin. A body that is not a string is sent as JSON. */
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await send(
      new URL(path, runtime.url),
      method,
      {
        Authorization: `Bearer ${ADMIN}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
    );
    const isJson = /json(;|$)/.test(response.headers.get("content-type") ?? "");
    return { ...response, json: isJson ? JSON.parse(response.text) : undefined };
  }

  return {
    ...runtime,
    call,
    /** Fires the Cron Trigger for a time, and resolves to true if no refresh failed. */
    sweep: (at = Date.now()) => runtime.trigger(at),
    exposures: async (id: string) => (await call("GET", `/v1/experiments/${id}/exposures`)).json,
    logs: (): LogLine[] =>
      runtime.lines().flatMap((line) => {
        const known = parsed.get(line) ?? parseLine(line);
        parsed.set(line, known);
        return known;
      }),
  };
}

/** Deletes all experiments. */
export async function deleteExperiments({ query, call }: Pick<TestWorker, "query" | "call">): Promise<void> {
  const rows = await query("SELECT id FROM experiments");
  await Promise.all(rows.map(({ id }) => call("DELETE", `/v1/experiments/${id}`)));
}

export type TestWorker = Awaited<ReturnType<typeof startWorker>>;
export type CrashableWorker = Awaited<ReturnType<typeof startCrashableWorker>>;

function parseLine(message: string): LogLine[] {
  try {
    return [JSON.parse(message)];
  } catch {
    return [];
  }
}

/** Polls until the condition holds, and returns the last value. */
export async function until<Value>(
  poll: () => Promise<Value> | Value,
  condition: (value: Value) => boolean,
  { seconds = 120 } = {},
): Promise<Value> {
  const end = Date.now() + seconds * 1000;
  for (let wait = 10; ; wait = Math.min(1.5 * wait, 250)) {
    const value = await poll();
    if (condition(value)) return value;
    if (Date.now() > end)
      throw new Error(
        `The condition does not hold after ${seconds} s. Last value: ${JSON.stringify(value)?.slice(0, 500)}`,
      );
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
