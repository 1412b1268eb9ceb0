import { expect } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { createDispatcher, type Dispatcher } from "../../src/refresh/dispatcher.ts";
import { refreshExperiment } from "../../src/refresh/refresh-experiment.ts";
import type { Refresh } from "../../src/refresh/refresh-outcome.ts";
import { ok, type Result } from "../../src/result.ts";
import { type Database, DatabaseUnavailable, type Row, runOnPrimary } from "../../src/store/database.ts";
import { deleteExperiment, putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { recordManualRequest, recordWebhook } from "../../src/store/refresh-requests.ts";
import type { Warehouse } from "../../src/warehouse/client.ts";
import type { WarehouseFailure } from "../../src/warehouse/failure.ts";

export const START = Date.UTC(2026, 5, 1);
export const INTERVAL = 300_000;
export const SECOND = 1000;
export const REFRESHED = ok([]);
export const ID = "checkout-cta";

type Answer = Result<unknown[], WarehouseFailure>;

/** One query, in flight until the test settles it. */
export type Query = {
  experimentId: string;
  /** The end of its window. */
  to: number;
  settle(answer: Answer): Promise<void>;
  reject(error: unknown): Promise<void>;
};

/** Lets all pending promise callbacks run. */
export async function flush(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

/**
 * A dispatcher on a real database, whose clock, alarm and queries the test controls. As in a Durable Object, the alarm
 * survives the end of the process, and an alarm that fires is no longer set.
 */
export async function createHarness({ concurrency = 6, ids = [ID], endedAt = null as number | null } = {}) {
  const sqlite = openSqlite(":memory:");
  await migrate(sqlite, readMigrations("migrations/d1"));
  const state = {
    time: START,
    alarm: null as number | null,
    isAlarmBroken: false,
    isDatabaseDown: false,
    /** All queries, in the order of their start. */
    queries: [] as Query[],
    /** The ids of the queries of the current process that are in flight. */
    inFlight: [] as string[],
    maxInFlight: 0,
    logs: [] as { level: string; event: string; fields: Record<string, unknown> }[],
  };
  let instance = 0;
  /** The promises that a killed process still waits for. */
  const never = new Promise<never>(() => undefined);

  function openDatabase(): Database {
    const own = instance;
    const unlessDown = <Value>(run: () => Promise<Value>): Promise<Value> => {
      if (own !== instance) return never;
      return state.isDatabaseDown ? Promise.reject(DatabaseUnavailable.because(new Error("no disk"))) : run();
    };
    return {
      read: (statement) => unlessDown(() => sqlite.read(statement)),
      transact: (statements) => unlessDown(() => sqlite.transact(statements)),
    };
  }

  function createWarehouse(): Warehouse {
    const own = instance;
    const warehouse: Warehouse = {
      table: { database: "default", table: "events" },
      select(_sql, parameters) {
        if (own !== instance) return never;
        const experimentId = String(parameters["feature_name"]);
        const { promise, resolve, reject } = Promise.withResolvers<Answer>();
        expect(state.inFlight, "never two queries of an experiment").not.toContain(experimentId);
        state.inFlight.push(experimentId);
        state.maxInFlight = Math.max(state.maxInFlight, state.inFlight.length);
        const finish = () => {
          if (own === instance) state.inFlight = state.inFlight.filter((id) => id !== experimentId);
          return flush();
        };
        state.queries.push({
          experimentId,
          to: Number(parameters["to"]),
          async settle(answer) {
            if (own === instance) resolve(answer);
            await finish();
          },
          async reject(error) {
            if (own === instance) reject(error);
            await finish();
          },
        });
        return promise;
      },
      command: async () => ok(null),
      withSharedDeadline: () => warehouse,
    };
    return warehouse;
  }

  /** Wraps the calls of the coordinator in the current process. */
  let intercept = (refresh: Refresh): Refresh => refresh;

  function start(): Dispatcher {
    const shared = {
      database: openDatabase(),
      clock: () => state.time,
      random: () => 0,
      log: (level: string, event: string, fields: Record<string, unknown> = {}) =>
        void state.logs.push({ level, event, fields }),
    };
    const settings = { settleMs: 0, eventsTtlDays: 0, breakdownTraits: [], states: null, alerts: null };
    const deps = { ...shared, ...settings, warehouse: createWarehouse() };
    return createDispatcher({
      ...shared,
      concurrency,
      maxRefreshMs: 600_000,
      refresh: intercept((id, now) => refreshExperiment(deps, id, now)),
      alarm: {
        get: async () => state.alarm,
        async set(at) {
          if (state.isAlarmBroken) throw new Error("no storage");
          state.alarm = at;
        },
        clear: async () => {
          state.alarm = null;
        },
      },
    });
  }

  let dispatcher = start();
  const input = (id: string) => ({
    id,
    name: id,
    environmentKey: "env",
    featureName: id,
    variants: [],
    metrics: [],
    endedAt,
  });

  async function put(id: string, startedAt: number | null = START - 1): Promise<void> {
    expect(await putExperiment(sqlite, { ...input(id), startedAt }, null, state.time)).toMatchObject({ ok: true });
  }

  for (const id of ids) await put(id);
  await runOnPrimary(sqlite, {
    sql: "UPDATE experiments SET refresh_requested_at = NULL, refresh_due_at = NULL",
    values: [],
  });

  return {
    state,
    put,
    delete: (id = ID) => deleteExperiment(sqlite, id, null),
    execute: (sql: string) => runOnPrimary(sqlite, { sql, values: [] }),
    async row(id = ID): Promise<Row> {
      const [row] = await runOnPrimary(sqlite, { sql: "SELECT * FROM experiments WHERE id = ?", values: [id] });
      return row ?? {};
    },
    /** The time until the pending refresh is due, in milliseconds; null: nothing is pending. */
    async dueIn(id = ID): Promise<number | null> {
      const { refresh_due_at: dueAt } = await this.row(id);
      return typeof dueAt === "number" ? dueAt - state.time : null;
    },
    alarmIn: () => (state.alarm === null ? null : state.alarm - state.time),
    async edit(id = ID) {
      await put(id);
      await dispatcher.wake(id);
      await flush();
    },
    async requestManually(id = ID) {
      const outcome = await recordManualRequest(sqlite, "refresh", id, null, state.time, 0);
      if (outcome.kind === "accepted") await dispatcher.wake(id);
      await flush();
      return outcome;
    },
    /** Sends a webhook for one experiment, or for the environment of all. */
    async sendWebhook(id: string | null = ID) {
      const scope = id === null ? { environmentKey: "env" } : { experimentId: id };
      const outcome = await recordWebhook(sqlite, scope, state.time, INTERVAL, null);
      await dispatcher.wake(null);
      await flush();
      return outcome;
    },
    /** Refreshes as a sweep does. */
    async sweep(...swept: string[]) {
      const outcome = dispatcher.refreshSlice(swept.length === 0 ? [ID] : swept, state.time, Number.POSITIVE_INFINITY);
      await flush();
      return outcome;
    },
    /** Starts a sweep, and does not wait for it. */
    startSweep(swept: readonly string[] = [ID], now = state.time, until = Number.POSITIVE_INFINITY) {
      return dispatcher.refreshSlice(swept, now, until);
    },
    wake: (id: string | null = null) => dispatcher.wake(id),
    /** Advances the clock, and fires the alarm if it is due by then. */
    async advance(milliseconds: number): Promise<void> {
      state.time += milliseconds;
      if (state.alarm !== null && state.alarm <= state.time) {
        state.alarm = null;
        await dispatcher.onAlarm();
      }
      await flush();
    },
    fireAlarm: () => dispatcher.onAlarm(),
    /** Kills the process, and starts another one that has only the database and the alarm. */
    async kill(wrap = intercept): Promise<void> {
      instance += 1;
      intercept = wrap;
      state.inFlight = [];
      dispatcher = start();
      await flush();
    },
    /** The newest query. */
    last(): Query {
      const query = state.queries.at(-1);
      if (query === undefined) throw new Error("no refresh has begun");
      return query;
    },
    close: () => sqlite.close(),
  };
}

export type Harness = Awaited<ReturnType<typeof createHarness>>;
