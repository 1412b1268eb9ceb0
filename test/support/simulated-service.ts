import { Webhook } from "standardwebhooks";
import { afterEach, beforeAll, beforeEach, vi } from "vitest";
import { createApp } from "../../src/app.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { createTimerAlarm } from "../../src/deno/timer-alarm.ts";
import type { LogLevel } from "../../src/log.ts";
import { createDispatcher } from "../../src/refresh/dispatcher.ts";
import { refreshExperiment } from "../../src/refresh/refresh-experiment.ts";
import { sweep } from "../../src/refresh/sweep.ts";
import { maxRefreshMs, sweepBudget } from "../../src/refresh/sweep-times.ts";
import { failed } from "../../src/result.ts";
import { parseSettings } from "../../src/settings.ts";
import { migrate } from "../../src/store/migrations.ts";
import { createSummaryCache, invalidateAfter, summariesThrough } from "../../src/store/summary-cache.ts";
import { connectWarehouse, type Warehouse } from "../../src/warehouse/client.ts";
import { createDiscovery } from "../../src/warehouse/discovery.ts";
import type { WarehouseFailure } from "../../src/warehouse/failure.ts";
import { createWarehouse, type TestWarehouse } from "./warehouse.ts";
import { ADMIN, varsFor, WEBHOOK_SECRET } from "./worker.ts";

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const YEAR = 365 * DAY;
export const INTERVAL = 300 * SECOND;
export const SETTLE = HOUR;
/** The maximum delay of a first retry. `startSimulatedService` sets `random` to 0, which gives this delay. */
export const FIRST_RETRY = 5 * SECOND;

export const iso = (time: number) => new Date(time).toISOString();

type LogEntry = { level: LogLevel; event: string; fields: Record<string, unknown> };

/**
 * Runs the whole product in this process, wired like the Deno service, with the real warehouse and a real database. The
 * test controls two kinds of time, as on a real machine: the wall clock, which may jump, and the monotonic time of timers.
 */
export async function startSimulatedService({ settings: warehouseSettings, insert }: TestWarehouse, at: number) {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: at });
  const parsed = parseSettings(varsFor(warehouseSettings));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure));
  const settings = parsed.value;
  const sqlite = openSqlite(":memory:");
  const cache = createSummaryCache(settings.cacheSeconds * 1000, Date.now);
  const database = invalidateAfter(sqlite, cache);
  await migrate(database, readMigrations("migrations/d1"));

  const logEntries: LogEntry[] = [];
  const state = {
    fault: null as WarehouseFailure | null,
    /** True if the fault is in the queries of metrics only. */
    onlyMetrics: false,
    queries: 0,
    inFlight: 0,
  };
  const real = connectWarehouse(settings.warehouse);
  const warehouse: Warehouse = {
    ...real,
    withSharedDeadline: () => warehouse,
    async select(sql, parameters, querySettings) {
      const isFaulty = !state.onlyMetrics || sql.includes("'moments'");
      state.queries += 1;
      state.inFlight += 1;
      try {
        return state.fault !== null && isFaulty
          ? failed(state.fault)
          : await real.select(sql, parameters, querySettings);
      } finally {
        state.inFlight -= 1;
      }
    },
  };
  const shared = {
    database,
    warehouse,
    clock: Date.now,
    random: () => 0,
    log: (level: LogLevel, event: string, fields = {}) => void logEntries.push({ level, event, fields }),
  };
  const { settleMs, eventsTtlDays, breakdownTraits, states, queryConcurrency: concurrency } = settings;
  const refreshing = { ...shared, settleMs, eventsTtlDays, breakdownTraits, states, alerts: null };
  const timer = createTimerAlarm(Date.now, () => void dispatcher.onAlarm());
  const dispatcher = createDispatcher({
    ...shared,
    concurrency,
    alarm: timer,
    maxRefreshMs: maxRefreshMs(settings),
    refresh: (id, now) => refreshExperiment(refreshing, id, now),
  });
  const sweepDeps = { ...shared, concurrency, refreshSlice: dispatcher.refreshSlice };
  const budget = sweepBudget(settings);
  const app = createApp({
    ...shared,
    settings,
    dispatcher,
    flagsmith: null,
    alerts: null,
    summaries: summariesThrough(cache, database),
    discovery: createDiscovery(warehouse, settings.warehouse.queryTimeoutMs, Date.now),
    limiter: async () => true,
  });

  /** Resolves when all work is done. Except for warehouse queries, work takes only a few turns of the event loop. */
  async function idle(): Promise<void> {
    for (let idleTurns = 0; idleTurns < 3; idleTurns = state.inFlight === 0 ? idleTurns + 1 : 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Resolves while a query is in flight. */
  async function queryInFlight(): Promise<void> {
    while (state.inFlight === 0) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Advances timers and the clock, and waits for the work that becomes due. */
  async function pass(milliseconds: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(milliseconds);
    await idle();
  }

  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await app.request(
      path,
      {
        method,
        headers: { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      },
      {},
    );
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: text === "" ? null : JSON.parse(text) };
  }

  return {
    state,
    queryInFlight,
    pass,
    call,
    insert,
    /** Sets the clock without advancing timers. */
    set: (time: number) => vi.setSystemTime(time),
    /** Moves the clock without advancing timers. */
    jump: (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds),
    /** Runs a sweep for a time, and resolves to true if no refresh failed. */
    async sweep(time = Date.now()) {
      await dispatcher.wake(null);
      return sweep(sweepDeps, time, Date.now() + budget);
    },
    /** Sends a Standard Webhook with the timestamp `at`. */
    sendWebhook(body: unknown, { id = crypto.randomUUID() as string, at = Date.now() } = {}) {
      const text = JSON.stringify(body);
      return call("POST", "/webhooks/refresh", text, {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(at / 1000)),
        "webhook-signature": new Webhook(WEBHOOK_SECRET).sign(id, new Date(at), text),
      });
    },
    logged: (event: string) => logEntries.filter((entry) => entry.event === event),
    async stop() {
      await timer.clear();
      await dispatcher.stop();
      sqlite.close();
      vi.useRealTimers();
    },
  };
}

export type SimulatedService = Awaited<ReturnType<typeof startSimulatedService>>;

/** Returns helpers for an experiment that does not exist yet. Its environment and its feature are named by its id. */
export function experimentOf(service: SimulatedService, id: string) {
  const path = `/v1/experiments/${id}`;
  const get = () => service.call("GET", `${path}/exposures`);
  return {
    id,
    get,
    exposures: async () => (await get()).json,
    read: async () => (await service.call("GET", path)).json,
    /** Creates or edits it, and waits for an immediate refresh. */
    async put(
      startedAt: number | null,
      endedAt: number | null = null,
      fields: Record<string, unknown> = {},
      query = "",
    ) {
      const times = {
        started_at: startedAt === null ? null : iso(startedAt),
        ended_at: endedAt === null ? null : iso(endedAt),
      };
      const response = await service.call("PUT", `${path}${query}`, {
        environment_key: id,
        feature_name: id,
        ...times,
        ...fields,
      });
      await service.pass(0);
      return response;
    },
    /** Requests a refresh, and waits for an immediate one. */
    async requestRefresh() {
      const response = await service.call("POST", `${path}/exposures/refresh`);
      await service.pass(0);
      return response;
    },
    /** Sends a webhook, and waits for an immediate refresh. */
    async sendWebhook(signing?: { id?: string; at?: number }) {
      const response = await service.sendWebhook({ experiment_id: id }, signing);
      await service.pass(0);
      return response;
    },
    /** Inserts one exposure of a new identity at each time. */
    expose: (...times: number[]) =>
      service.insert(
        times.map((timestamp, index) => ({
          environment_key: id,
          feature_name: id,
          identifier: `${timestamp}-${index}`,
          value: "control",
          timestamp,
        })),
      ),
  };
}

export type SimulatedExperiment = ReturnType<typeof experimentOf>;

/** Starts a simulated service at `now` for each test of a file, with a new experiment. */
export function useSimulatedService(
  now: number,
  setUp: (context: { warehouse: TestWarehouse; service: SimulatedService; experiment: SimulatedExperiment }) => void,
): void {
  let warehouse: TestWarehouse;
  let service: SimulatedService;
  let count = 0;
  beforeAll(async () => {
    warehouse = await createWarehouse();
  });
  beforeEach(async () => {
    service = await startSimulatedService(warehouse, now);
    count += 1;
    setUp({ warehouse, service, experiment: experimentOf(service, `experiment-${count}`) });
  });
  afterEach(() => service.stop());
}
