import { inject } from "vitest";
import type { WarehouseSettings } from "../../src/settings.ts";
import { startDeno } from "./deno.ts";

declare module "vitest" {
  interface ProvidedContext {
    runtime: "workerd" | "deno";
  }
}

export const ADMIN = "admin-token-of-the-tests";
export const READER = "read-token-of-the-tests";
export const WEBHOOK_SECRET = `whsec_${Buffer.from("standard webhook secret").toString("base64")}`;
export const FLAGSMITH_SECRET = "flagsmith secret";

export type LogLine = { event: string; level: string; [field: string]: unknown };

/** Everything that a runtime needs to know, for that warehouse. */
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
    FLAGSMITH_WEBHOOK_SECRET: FLAGSMITH_SECRET,
    ...vars,
  };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, String(value)]));
}

// Miniflare and wrangler each take a second to load, so only a test that starts one loads it.

/** The product, with an empty database, in the runtime that this run of the tests is for. */
export async function startRuntime(vars: Record<string, string>) {
  if (inject("runtime") === "deno") return startDeno(vars);
  const { startMiniflare } = await import("./miniflare.ts");
  return startMiniflare(vars);
}

/** The Worker in wrangler's test harness, which lets a test use its bindings. */
export async function startWorkerd(vars: Record<string, string>) {
  const workerd = await import("./workerd.ts");
  return workerd.startWorkerd(vars);
}

/** The product, on that warehouse. */
export async function startWorker(warehouse: WarehouseSettings, vars: Record<string, string | number | boolean> = {}) {
  return drive(await startRuntime(varsFor(warehouse, vars)));
}

/** The same, but with a database that outlives its runtime, which can be killed and started again. */
export async function startLastingWorker(
  warehouse: WarehouseSettings,
  vars: Record<string, string | number | boolean> = {},
) {
  const all = varsFor(warehouse, vars);
  return drive(await (inject("runtime") === "deno" ? startDeno(all) : startVanishing(all)));
}

async function startVanishing(vars: Record<string, string>) {
  const { startMiniflare } = await import("./miniflare.ts");
  const runtime = await startMiniflare(vars, "test/worker/entries/vanishing.ts");
  /** Aborts the coordinator of an experiment in the middle of whatever it does. */
  const crash = async (experimentId: string) => {
    const gone = await runtime.fetch("/", { headers: { "X-Vanish": experimentId } });
    await gone.body?.cancel();
  };
  return { ...runtime, crash };
}

type Runtime = {
  fetch(path: string, init: RequestInit & { duplex?: "half" }): Promise<Response>;
  trigger(at: number): Promise<boolean>;
  lines(): string[];
};

/** What tests do with a runtime, in short words. */
export function drive<R extends Runtime>(runtime: R) {
  // Tests ask for the log again and again while they wait.
  const parsed = new Map<string, LogLine[]>();

  /** One call of the API, by default as the admin; a body is sent as JSON. */
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await runtime.fetch(path, {
      method,
      headers: {
        Authorization: `Bearer ${ADMIN}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json(;|$)/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
  }

  return {
    ...runtime,
    call,
    /** Fires the Cron Trigger for a time; true if no refresh failed. */
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

export type TestWorker = Awaited<ReturnType<typeof startWorker>>;
export type LastingWorker = Awaited<ReturnType<typeof startLastingWorker>>;

function parseLine(message: string): LogLine[] {
  try {
    return [JSON.parse(message)];
  } catch {
    return [];
  }
}

/** Asks again until the condition holds, and returns what it held for. */
export async function until<Value>(
  ask: () => Promise<Value> | Value,
  condition: (value: Value) => boolean,
  { seconds = 40 } = {},
): Promise<Value> {
  const end = Date.now() + seconds * 1000;
  for (let wait = 10; ; wait = Math.min(1.5 * wait, 100)) {
    const value = await ask();
    if (condition(value)) return value;
    if (Date.now() > end)
      throw new Error(`still waiting after ${seconds} s; last: ${JSON.stringify(value)?.slice(0, 500)}`);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
