import { Webhook } from "standardwebhooks";
import { afterEach, beforeAll, beforeEach, vi } from "vitest";
import { createApp } from "../../src/app.ts";
import { createProcessCoordinators } from "../../src/deno/process-coordinators.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { LogLevel } from "../../src/log.ts";
import { createRefreshSlice } from "../../src/refresh/refresh-slice.ts";
import { sweep } from "../../src/refresh/sweep.ts";
import { sweepBudget } from "../../src/refresh/sweep-times.ts";
import { failed } from "../../src/result.ts";
import { parseSettings } from "../../src/settings.ts";
import { migrate } from "../../src/store/migrations.ts";
import { createSummaryCache, invalidateAfter, summariesThrough } from "../../src/store/summary-cache.ts";
import { connectWarehouse, type Warehouse } from "../../src/warehouse/client.ts";
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
/** With the luck of `startClockwork`, the first retry waits as long as a first retry may. */
export const FIRST_RETRY = 5 * SECOND;

export const iso = (time: number) => new Date(time).toISOString();

type Line = { level: LogLevel; event: string; fields: Record<string, unknown> };

/**
 * The whole product in this process, wired as the Deno service wires it, with the real warehouse and a real database;
 * only time is the test's. Two kinds of it, because machines have two: the clock on the wall, which may jump, and the
 * time that timers wait for, which only passes.
 */
export async function startClockwork({ settings: to, insert }: TestWarehouse, at: number) {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: at });
  const parsed = parseSettings(varsFor(to));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure));
  const settings = parsed.value;
  const sqlite = openSqlite(":memory:");
  const cache = createSummaryCache(settings.cacheSeconds * 1000, Date.now);
  const database = invalidateAfter(sqlite, cache);
  await migrate(database, readMigrations("migrations/d1"));

  const lines: Line[] = [];
  const state = { fault: null as WarehouseFailure | null, queries: 0, underWay: 0 };
  const real = connectWarehouse(settings.warehouse);
  const warehouse: Warehouse = {
    ...real,
    async select(sql, parameters) {
      state.queries += 1;
      state.underWay += 1;
      try {
        return state.fault === null ? await real.select(sql, parameters) : failed(state.fault);
      } finally {
        state.underWay -= 1;
      }
    },
  };
  const shared = {
    database,
    warehouse,
    clock: Date.now,
    log: (level: LogLevel, event: string, fields = {}) => void lines.push({ level, event, fields }),
  };
  const {
    settleMs,
    eventsTtlDays,
    states,
    refreshMinIntervalMs: minIntervalMs,
    sweepConcurrency: concurrency,
  } = settings;
  const coordinators = createProcessCoordinators({
    ...{ ...shared, settleMs, eventsTtlDays, states, alerts: null, minIntervalMs, concurrency },
    random: () => 0,
  });
  const { refresh } = coordinators;
  const sweeper = { ...shared, concurrency, refreshSlice: createRefreshSlice({ ...shared, concurrency, refresh }) };
  const budget = sweepBudget(settings.warehouse.queryTimeoutMs);
  const app = createApp({
    ...{ ...shared, settings, coordinators },
    summaries: summariesThrough(cache, database),
    limiter: async () => true,
  });

  /** Everything but the warehouse's answers needs no more than turns: when none is awaited, all has come to its end. */
  async function idle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet = state.underWay === 0 ? quiet + 1 : 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Resolves while a query is in flight. */
  async function queryInFlight(): Promise<void> {
    while (state.underWay === 0) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Time passes, and the clock goes with it; whatever is due by then happens. */
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
    /** The clock is set to another time, and no time passes. */
    set: (time: number) => vi.setSystemTime(time),
    jump: (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds),
    /** Fires the Cron Trigger for a time; true if no refresh failed. */
    sweep: (time = Date.now()) => sweep(sweeper, time, Date.now() + budget),
    /** A Standard Webhook, signed by a sender whose clock shows `at`. */
    hint(body: unknown, { id = crypto.randomUUID() as string, at = Date.now() } = {}) {
      const text = JSON.stringify(body);
      return call("POST", "/webhooks/refresh", text, {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(at / 1000)),
        "webhook-signature": new Webhook(WEBHOOK_SECRET).sign(id, new Date(at), text),
      });
    },
    logged: (event: string) => lines.filter((line) => line.event === event),
    async stop() {
      await coordinators.stop();
      sqlite.close();
      vi.useRealTimers();
    },
  };
}

export type Clockwork = Awaited<ReturnType<typeof startClockwork>>;

/** An experiment of that product, not created yet; its environment and its feature have its name. */
export function experimentOf(world: Clockwork, id: string) {
  const address = `/v1/experiments/${id}`;
  const get = () => world.call("GET", `${address}/exposures`);
  return {
    id,
    get,
    /** What the edge serves. */
    exposures: async () => (await get()).json,
    read: async () => (await world.call("GET", address)).json,
    /** Creates or changes it, and lets happen what that asks for at once. */
    async put(startedAt: number | null, endedAt: number | null = null, more: Record<string, unknown> = {}) {
      const times = {
        started_at: startedAt === null ? null : iso(startedAt),
        ended_at: endedAt === null ? null : iso(endedAt),
      };
      const answer = await world.call("PUT", address, { environment_key: id, feature_name: id, ...times, ...more });
      await world.pass(0);
      return answer;
    },
    /** Asks for a refresh, and lets it happen. */
    async requestRefresh() {
      const answer = await world.call("POST", `${address}/exposures/refresh`);
      await world.pass(0);
      return answer;
    },
    /** Sends a webhook, and lets happen what it asks for at once. */
    async hint(signing?: { id?: string; at?: number }) {
      const answer = await world.hint({ experiment_id: id }, signing);
      await world.pass(0);
      return answer;
    },
    /** Identities with one exposure each, named by their order and the time. */
    expose: (...times: number[]) =>
      world.insert(
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

export type ClockworkExperiment = ReturnType<typeof experimentOf>;

/** Gives each test of a file a world of its own, which begins at `now`, and in it an experiment nobody else has. */
export function eachInItsWorld(
  now: number,
  take: (made: { warehouse: TestWarehouse; world: Clockwork; experiment: ClockworkExperiment }) => void,
): void {
  let warehouse: TestWarehouse;
  let world: Clockwork;
  let count = 0;
  beforeAll(async () => {
    warehouse = await createWarehouse();
  });
  beforeEach(async () => {
    world = await startClockwork(warehouse, now);
    count += 1;
    take({ warehouse, world, experiment: experimentOf(world, `experiment-${count}`) });
  });
  afterEach(() => world.stop());
}
