import type { D1Database, DurableObjectNamespace } from "@cloudflare/workers-types";
import { createTestHarness } from "wrangler";
import type { WarehouseSettings } from "../../src/settings.ts";

export const ADMIN = "admin-token-of-the-tests";
export const READER = "read-token-of-the-tests";
export const WEBHOOK_SECRET = `whsec_${Buffer.from("standard webhook secret").toString("base64")}`;
export const FLAGSMITH_SECRET = "flagsmith secret";

type Env = { DB: D1Database; COORDINATOR: DurableObjectNamespace };

export type LogLine = { event: string; level: string; [field: string]: unknown };

/** The real Worker in workerd, with an empty D1, on that warehouse. */
export async function startWorker(warehouse: WarehouseSettings, vars: Record<string, string | number | boolean> = {}) {
  const harness = createTestHarness({
    workers: [
      {
        configPath: "wrangler.toml",
        vars: {
          CLICKHOUSE_URL: warehouse.url.href,
          CLICKHOUSE_DATABASE: warehouse.database,
          CLICKHOUSE_USER: warehouse.user,
          EVENTS_TABLE: warehouse.table,
          ...vars,
        },
        secrets: {
          CLICKHOUSE_PASSWORD: warehouse.password,
          ADMIN_TOKEN: ADMIN,
          READ_TOKEN: READER,
          WEBHOOK_SECRET,
          FLAGSMITH_WEBHOOK_SECRET: FLAGSMITH_SECRET,
        },
      },
    ],
  });
  await harness.listen();
  const worker = harness.getWorker<Env>();
  await worker.applyD1Migrations("DB");

  /** One call of the API, by default as the admin; a body is sent as JSON. */
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await harness.fetch(path, {
      method,
      headers: {
        Authorization: `Bearer ${ADMIN}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
  }

  return {
    harness,
    worker,
    call,
    fetch: harness.fetch,
    /** Fires the Cron Trigger for a time. */
    sweep: (at = Date.now()) => worker.scheduled({ scheduledTime: new Date(at) }),
    exposures: async (id: string) => (await call("GET", `/v1/experiments/${id}/exposures`)).json,
    logs: (): LogLine[] => harness.getLogs().flatMap(({ message }) => parseLine(message)),
    stop: () => harness.close(),
  };
}

export type TestWorker = Awaited<ReturnType<typeof startWorker>>;

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
  for (;;) {
    const value = await ask();
    if (condition(value)) return value;
    if (Date.now() > end)
      throw new Error(`still waiting after ${seconds} s; last: ${JSON.stringify(value)?.slice(0, 500)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
