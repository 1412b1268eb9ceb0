import { afterEach, beforeEach, expect } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Log } from "../../src/log.ts";
import { createDispatcher } from "../../src/refresh/dispatcher.ts";
import type { Refresh, RefreshOutcome } from "../../src/refresh/refresh-outcome.ts";
import type { RefreshSlice } from "../../src/refresh/refresh-slice.ts";
import { sweep } from "../../src/refresh/sweep.ts";
import { type Database, runOnPrimary } from "../../src/store/database.ts";
import { putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";

export const NOW = Date.UTC(2026, 5, 1);
export const DAY = 86_400_000;
export const REFRESHED: RefreshOutcome = { status: "refreshed" };

export let database: ReturnType<typeof openSqlite>;

/** Gives each test of a file an empty database. */
export function useDatabase(): void {
  beforeEach(async () => {
    database = openSqlite(":memory:");
    await migrate(database, readMigrations("migrations/d1"));
  });
  afterEach(() => database.close());
}

export async function put(id: string, startedAt: number | null, endedAt: number | null = null): Promise<void> {
  const input = { id, name: id, environmentKey: "env", featureName: id, variants: [], metrics: [], startedAt, endedAt };
  expect(await putExperiment(database, input, null, NOW)).toMatchObject({ ok: true });
}

export const idOf = (index: number) => `experiment-${String(index).padStart(6, "0")}`;

/** Creates running experiments and returns their ids. All but the first are copies of its row. */
export async function putMany(count: number): Promise<string[]> {
  await put(idOf(0), NOW);
  await runOnPrimary(database, {
    sql: `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
    INSERT INTO experiments (id, name, environment_key, feature_name, variants, started_at, created_at, updated_at)
    SELECT printf('experiment-%06d', i), name, environment_key, feature_name, variants, started_at, created_at, updated_at
    FROM n, experiments WHERE id = ?2 AND ?1 > 1`,
    values: [count, idOf(0)],
  });
  return Array.from({ length: count }, (_, index) => idOf(index));
}

type Options = {
  refresh?: Refresh;
  on?: Database;
  concurrency?: number;
  clock?: () => number;
  until?: number;
  /** Wraps the function that refreshes a slice. */
  wrapSlice?: (refreshSlice: RefreshSlice) => RefreshSlice;
};

/** Runs one sweep, and returns its result, its logs and its refreshes in order. By default every refresh succeeds. */
export async function sweepWith({
  refresh = async () => REFRESHED,
  on = database,
  concurrency = 6,
  clock = () => NOW,
  until = NOW + 1,
  wrapSlice = (refreshSlice) => refreshSlice,
}: Options = {}) {
  const calls: { id: string; now: number }[] = [];
  const logs: { level: string; event: string; fields: Record<string, unknown> }[] = [];
  const log: Log = (level, event, fields = {}) => logs.push({ level, event, fields });
  const recorded: Refresh = (id, now) => {
    calls.push({ id, now });
    return refresh(id, now);
  };
  const shared = { concurrency, clock, log };
  const dispatcher = createDispatcher({
    ...shared,
    database,
    random: () => 0,
    refresh: recorded,
    maxRefreshMs: 600_000,
    alarm: { get: async () => null, set: async () => undefined, clear: async () => undefined },
  });
  const refreshSlice = wrapSlice(dispatcher.refreshSlice);
  const ok = await sweep({ ...shared, database: on, refreshSlice }, NOW, until);
  return { ok, logs, calls, ids: calls.map(({ id }) => id) };
}
