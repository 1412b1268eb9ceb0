import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Log } from "../../src/log.ts";
import type { RefreshOutcome } from "../../src/refresh/outcome.ts";
import { SWEEP_SCHEDULE, type SweepDeps, sweep } from "../../src/refresh/sweep.ts";
import { type Database, primary } from "../../src/store/database.ts";
import { putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { noteHint } from "../../src/store/requests.ts";

const NOW = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;
const REFRESHED: RefreshOutcome = { status: "refreshed" };

let database: ReturnType<typeof openSqlite>;
beforeEach(async () => {
  database = openSqlite(":memory:");
  await migrate(database, readMigrations("migrations/d1"));
});
afterEach(() => database.close());

async function put(id: string, startedAt: number | null, endedAt: number | null = null): Promise<void> {
  const input = { id, name: id, environmentKey: "env", featureName: id, variants: [], startedAt, endedAt };
  expect(await putExperiment(database, input, null, NOW)).toMatchObject({ ok: true });
}

/** One sweep whose refreshes end as told, or as refreshed. */
async function sweepWith(refresh: SweepDeps["refresh"] = async () => REFRESHED, on: Database = database) {
  const calls: { id: string; now: number }[] = [];
  const logs: { level: string; event: string; fields: object }[] = [];
  const log: Log = (level, event, fields = {}) => logs.push({ level, event, fields });
  const counted: SweepDeps["refresh"] = (id, now) => {
    calls.push({ id, now });
    return refresh(id, now);
  };
  const ok = await sweep({ database: on, refresh: counted, log }, NOW);
  return { ok, logs, calls, ids: calls.map(({ id }) => id).sort() };
}

describe("a sweep", () => {
  it("refreshes every started experiment that is not final, as of its own time, and tells what it did", async () => {
    await put("running", NOW - DAY);
    await put("just-started", NOW);
    await put("ended", NOW - 2 * DAY, NOW - DAY);
    await put("planned", NOW + 1);
    await put("draft", null);
    await put("final", NOW - 2 * DAY, NOW - DAY);
    await primary(database, { sql: "UPDATE experiments SET is_final = 1 WHERE id = 'final'", values: [] });

    const { ok, logs, calls, ids } = await sweepWith(async (id) =>
      id === "ended" ? { status: "skipped", reason: "superseded" } : REFRESHED,
    );
    expect(ok).toBe(true);
    expect(ids).toEqual(["ended", "just-started", "running"]);
    expect(new Set(calls.map(({ now }) => now))).toEqual(new Set([NOW]));
    expect(logs).toEqual([{ level: "info", event: "sweep.finished", fields: { refreshed: 2, skipped: 1, failed: 0 } }]);
  });

  it("is fine with nothing to do", async () => {
    const { ok, logs, calls } = await sweepWith();
    expect(ok).toBe(true);
    expect(calls).toEqual([]);
    expect(logs).toEqual([{ level: "info", event: "sweep.finished", fields: { refreshed: 0, skipped: 0, failed: 0 } }]);
  });

  it("goes on after a refresh that failed, and ends as failed", async () => {
    for (const id of ["a", "b", "c"]) await put(id, NOW);
    const { ok, logs, ids } = await sweepWith(async (id) =>
      id === "a" ? { status: "failed", kind: "timeout", transient: true } : REFRESHED,
    );
    expect(ok).toBe(false);
    expect(ids).toEqual(["a", "b", "c"]);
    expect(logs, "what failed was logged where it failed").toEqual([
      { level: "error", event: "sweep.finished", fields: { refreshed: 2, skipped: 0, failed: 1 } },
    ]);
  });

  it("goes on past a coordinator that can't be reached, says which, and ends as failed", async () => {
    for (const id of ["a", "b", "c"]) await put(id, NOW);
    const { ok, logs, ids } = await sweepWith(async (id) => {
      if (id === "b") throw new Error("no such object");
      return REFRESHED;
    });
    expect(ok).toBe(false);
    expect(ids).toEqual(["a", "b", "c"]);
    expect(logs).toEqual([
      {
        level: "error",
        event: "coordinator.unreachable",
        fields: { experiment_id: "b", error: expect.stringContaining("no such object") },
      },
      { level: "error", event: "sweep.finished", fields: { refreshed: 2, skipped: 0, failed: 1 } },
    ]);
  });

  it("refreshes six side by side and no more, so that the warehouse keeps room for others", async () => {
    for (let index = 0; index < 20; index++) await put(`experiment-${index}`, NOW);
    let underWay = 0;
    let mostAtOnce = 0;
    const { ok } = await sweepWith(async () => {
      underWay += 1;
      mostAtOnce = Math.max(mostAtOnce, underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
      return REFRESHED;
    });
    expect(ok).toBe(true);
    expect(mostAtOnce).toBe(6);
  });

  it("refreshes experiments of every id that there may be", async () => {
    const ids = ["-", ".", "0", "A", "Z".repeat(64), "_", "a", "z".repeat(64)];
    for (const id of ids) await put(id, NOW);
    expect((await sweepWith()).ids).toEqual(ids);
  });

  it("takes two statements beside its refreshes while all fit on a page: each costs on D1", async () => {
    for (const id of ["a", "b", "c"]) await put(id, NOW);
    let statements = 0;
    const counting: Database = {
      ...database,
      transact: (list) => {
        statements += list.length;
        return database.transact(list);
      },
    };
    await sweepWith(undefined, counting);
    expect(statements).toBe(2);
  });

  it.each([499, 500, 501, 1001])("refreshes each of %i experiments, once", async (count) => {
    const id = (index: number) => `experiment-${String(index).padStart(4, "0")}`;
    const expected = Array.from({ length: count }, (_, index) => id(index));
    await put(id(0), NOW);
    // Copies of the first: what an experiment needs is the migrations' business.
    await primary(database, {
      sql: `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
      INSERT INTO experiments (id, name, environment_key, feature_name, variants, started_at, ended_at, created_at,
        updated_at)
      SELECT printf('experiment-%04d', i), name, environment_key, feature_name, variants, started_at, ended_at,
        created_at, updated_at FROM n, experiments WHERE id = ?2`,
      values: [count, id(0)],
    });
    const { ok, ids, logs } = await sweepWith();
    expect(ok).toBe(true);
    expect(ids).toEqual(expected);
    expect(logs).toMatchObject([{ event: "sweep.finished", fields: { refreshed: count } }]);
  });

  it("forgets webhooks whose senders have stopped trying, and no younger ones", async () => {
    await put("open", NOW - DAY);
    const deliver = (delivery: string, at: number) => noteHint(database, { experimentId: "open" }, at, delivery);
    await deliver("old", NOW - 3 * DAY - 1);
    await deliver("recent", NOW - 2 * DAY);
    await deliver("new", NOW - 1);
    await sweepWith();
    const rows = await database.read({ sql: "SELECT id FROM webhook_deliveries ORDER BY id", values: [] });
    expect(rows.map((row) => row["id"])).toEqual(["new", "recent"]);
  });

  it("that can't read its list refreshes nothing, says so and ends as failed", async () => {
    await put("open", NOW);
    const unreadable: Database = {
      read: () => Promise.reject(new Error("no disk")),
      transact: () => Promise.reject(new Error("no disk")),
    };
    const { ok, logs, calls } = await sweepWith(undefined, unreadable);
    expect(ok).toBe(false);
    expect(calls).toEqual([]);
    expect(logs).toEqual([
      {
        level: "error",
        event: "sweep.failed",
        fields: { refreshed: 0, skipped: 0, failed: 0, error: expect.stringContaining("no disk") },
      },
    ]);
  });

  it("that fails halfway tells what it had done", async () => {
    await put("open", NOW);
    let calls = 0;
    const failing: Database = {
      ...database,
      transact: (statements) => {
        calls += 1;
        return calls === 1 ? database.transact(statements) : Promise.reject(new Error("no disk"));
      },
    };
    const { ok, logs } = await sweepWith(undefined, failing);
    expect(ok).toBe(false);
    expect(logs).toMatchObject([{ event: "sweep.failed", fields: { refreshed: 1, skipped: 0, failed: 0 } }]);
  });

  it("is due when wrangler.toml says, on every platform", () => {
    const [, crons] = /^crons *= *\[(.*)\]/m.exec(readFileSync("wrangler.toml", "utf8")) ?? [];
    expect(crons?.trim()).toBe(`"${SWEEP_SCHEDULE}"`);
  });
});
