import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { maxRefreshMs, SWEEP_SCHEDULE, sweepBudget } from "../../src/refresh/sweep-times.ts";
import { parseSettings } from "../../src/settings.ts";
import { type Database, runOnPrimary } from "../../src/store/database.ts";
import { recordWebhook } from "../../src/store/refresh-requests.ts";
import { beginSweep, getLastSweepAt } from "../../src/store/sweep-progress.ts";
import { DAY, database, NOW, put, putMany, REFRESHED, sweepWith, useDatabase } from "../support/sweeps.ts";

useDatabase();

describe("a sweep", () => {
  it("refreshes every started experiment that is not final, as of the sweep's time, and logs the counts", async () => {
    await put("running", NOW - DAY);
    await put("just-started", NOW);
    await put("ended", NOW - 2 * DAY, NOW - DAY);
    await put("planned", NOW + 1);
    await put("draft", null);
    await put("final", NOW - 2 * DAY, NOW - DAY);
    await runOnPrimary(database, {
      sql: "UPDATE experiments SET is_final = 1, refresh_requested_at = NULL WHERE id = 'final'",
      values: [],
    });

    const { ok, logs, calls, ids } = await sweepWith({
      refresh: async (id) => (id === "ended" ? { status: "skipped", reason: "superseded" } : REFRESHED),
    });
    expect(ok).toBe(true);
    expect(ids).toEqual(["ended", "just-started", "running"]);
    expect(new Set(calls.map(({ now }) => now))).toEqual(new Set([NOW]));
    expect(logs).toEqual([{ level: "info", event: "sweep.finished", fields: { refreshed: 2, skipped: 1, failed: 0 } }]);
  });

  it("succeeds with nothing to do", async () => {
    const { ok, logs, calls } = await sweepWith();
    expect(ok).toBe(true);
    expect(calls).toEqual([]);
    expect(logs).toEqual([{ level: "info", event: "sweep.finished", fields: { refreshed: 0, skipped: 0, failed: 0 } }]);
  });

  it("continues after a failed refresh, and fails at the end", async () => {
    for (const id of ["a", "b", "c"]) await put(id, NOW);
    const { ok, logs, ids } = await sweepWith({
      refresh: async (id) => (id === "a" ? { status: "failed", kind: "timeout", retryAt: null } : REFRESHED),
    });
    expect(ok).toBe(false);
    expect(ids).toEqual(["a", "b", "c"]);
    expect(logs, "the refresh itself has logged the failure").toEqual([
      { level: "error", event: "sweep.finished", fields: { refreshed: 2, skipped: 0, failed: 1 } },
    ]);
  });

  it("continues after an unreachable coordinator, logs its experiment, and fails at the end", async () => {
    for (const id of ["a", "b", "c"]) await put(id, NOW);
    const { ok, logs, ids } = await sweepWith({
      refresh: async (id) => {
        if (id === "b") throw new Error("no such object");
        return REFRESHED;
      },
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

  it("records its scheduled time, even if it fails", async () => {
    expect(await getLastSweepAt(database)).toBeNull();
    await beginSweep(database, NOW - DAY);
    await put("a", NOW);
    await sweepWith({ refresh: async () => ({ status: "failed", kind: "timeout", retryAt: null }) });
    expect(await getLastSweepAt(database)).toBe(NOW);
  });

  it("refreshes experiments with any valid id", async () => {
    const ids = ["-", ".", "0", "A", "Z".repeat(64), "_", "a", "z".repeat(64)];
    for (const id of ids) await put(id, NOW);
    expect((await sweepWith()).ids).toEqual(ids);
  });

  it("runs only four statements of its own while all experiments fit into one slice, because D1 bills each", async () => {
    for (const id of ["a", "b", "c"]) await put(id, NOW);
    await sweepWith();
    let statements = 0;
    const counting: Database = {
      ...database,
      transact: (list) => {
        statements += list.length;
        return database.transact(list);
      },
    };
    await sweepWith({ on: counting });
    expect(statements).toBe(4);
  });

  it.each([39, 40, 41, 4999, 5000, 5001, 10_001])("refreshes each of %i experiments once", async (count) => {
    const expected = await putMany(count);
    const { ok, ids, logs } = await sweepWith();
    expect(ok).toBe(true);
    expect(ids).toEqual(expected);
    expect(logs).toMatchObject([{ event: "sweep.finished", fields: { refreshed: count } }]);
  });

  it("deletes deliveries that are too old to be retried, and no newer ones", async () => {
    await put("open", NOW - DAY);
    const deliver = (delivery: string, at: number) =>
      recordWebhook(database, { experimentId: "open" }, at, 0, delivery);
    await deliver("old", NOW - 3 * DAY - 1);
    await deliver("recent", NOW - 2 * DAY);
    await deliver("new", NOW - 1);
    await sweepWith();
    const rows = await database.read({ sql: "SELECT id FROM webhook_deliveries ORDER BY id", values: [] });
    expect(rows.map((row) => row["id"])).toEqual(["new", "recent"]);
  });

  it("refreshes nothing, logs the error and fails if it can't list the experiments", async () => {
    await put("open", NOW);
    const unreadable: Database = {
      read: () => Promise.reject(new Error("no disk")),
      transact: () => Promise.reject(new Error("no disk")),
    };
    const { ok, logs, calls } = await sweepWith({ on: unreadable });
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

  it("logs the counts so far if it fails halfway", async () => {
    await put("open", NOW);
    let calls = 0;
    const failing: Database = {
      ...database,
      transact: (statements) => {
        calls += 1;
        return calls <= 3 ? database.transact(statements) : Promise.reject(new Error("no disk"));
      },
    };
    const { ok, logs } = await sweepWith({ on: failing });
    expect(ok).toBe(false);
    expect(logs).toMatchObject([{ event: "sweep.failed", fields: { refreshed: 1, skipped: 0, failed: 0 } }]);
  });

  it("has the schedule of wrangler.toml", () => {
    const [, crons] = /^crons *= *\[(.*)\]/m.exec(readFileSync("wrangler.toml", "utf8")) ?? [];
    expect(crons?.trim()).toBe(`"${SWEEP_SCHEDULE}"`);
  });

  it("leaves a refresh time for a second count, after a metrics query that timed out", () => {
    const limit = (env: object) => {
      const settings = parseSettings({ ...env });
      return settings.ok ? maxRefreshMs(settings.value) : null;
    };
    expect(limit({})).toBe((120 + 120 + 60 + 60) * 1000);
    expect(limit({ QUERY_TIMEOUT_SECONDS: 10 })).toBe((10 + 10 + 10 + 60) * 1000);
    expect(limit({ EXPOSURE_SOURCE: "states" })).toBe((120 + 120 + 120 + 60 + 60) * 1000);
  });

  it("stops starting refreshes early enough for the last query to end within the Cron Trigger's time", () => {
    const budget = (env: object) => {
      const settings = parseSettings({ ...env });
      return settings.ok ? sweepBudget(settings.value) : settings.failure.map(({ setting }) => setting);
    };
    expect(budget({})).toBe(11 * 60_000);
    expect(budget({ QUERY_TIMEOUT_SECONDS: 600 })).toBe(3 * 60_000);
    expect(budget({ QUERY_TIMEOUT_SECONDS: 601 })).toEqual(["QUERY_TIMEOUT_SECONDS"]);
    // A refresh also fills states, with a deadline of its own. The query for causes takes a minute more.
    const states = { EXPOSURE_SOURCE: "states" };
    expect(budget(states)).toBe(9 * 60_000);
    expect(budget({ ...states, QUERY_TIMEOUT_SECONDS: 300 })).toBe(3 * 60_000);
    expect(budget({ ...states, QUERY_TIMEOUT_SECONDS: 301 })).toEqual(["QUERY_TIMEOUT_SECONDS"]);
  });
});
