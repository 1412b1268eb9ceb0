import { describe, expect, it } from "vitest";
import type { RefreshOutcome } from "../../src/refresh/refresh-outcome.ts";
import type { RefreshSlice } from "../../src/refresh/refresh-slice.ts";
import { type Database, runOnPrimary } from "../../src/store/database.ts";
import { NEEDS_REFRESH } from "../../src/store/experiment-row.ts";
import { deleteExperiment } from "../../src/store/experiments.ts";
import { DAY, database, idOf, NOW, put, putMany, REFRESHED, sweepWith, useDatabase } from "../support/sweeps.ts";

useDatabase();

const run = (sql: string) => runOnPrimary(database, { sql, values: [] });
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A time budget for that many refreshes, each of which takes 1 ms. */
function budgetFor(refreshes: number) {
  let started = 0;
  return {
    clock: () => NOW + started,
    until: NOW + refreshes,
    refresh: async () => {
      started += 1;
      return REFRESHED;
    },
  };
}

describe("a sweep that runs out of time", () => {
  it("starts no more refreshes, logs how many are left with the oldest as_of and advice, and fails", async () => {
    await putMany(100);
    await run(`UPDATE experiments SET as_of = ${NOW - DAY} WHERE id = '${idOf(70)}'`);
    const { ok, ids, logs } = await sweepWith(budgetFor(70));
    expect(ok).toBe(false);
    expect(ids).toEqual(Array.from({ length: 70 }, (_, index) => idOf(index)));
    expect(logs).toEqual([
      {
        level: "error",
        event: "sweep.out_of_time",
        fields: {
          refreshed: 70,
          skipped: 0,
          failed: 0,
          left: 30,
          oldest_as_of: new Date(NOW - DAY).toISOString(),
          advice: expect.stringContaining("QUERY_CONCURRENCY"),
        },
      },
    ]);
  });

  it("waits for the refreshes in flight, and counts them", async () => {
    await putMany(20);
    let time = NOW;
    const { logs, ids } = await sweepWith({
      clock: () => time,
      refresh: async () => {
        await nextTurn();
        time = NOW + 1;
        return REFRESHED;
      },
    });
    expect(ids).toHaveLength(6);
    expect(logs).toMatchObject([{ event: "sweep.out_of_time", fields: { refreshed: 6, left: 14 } }]);
  });

  it("starts no more slices", async () => {
    await putMany(2000);
    let slices = 0;
    const wrapSlice =
      (refreshSlice: RefreshSlice): RefreshSlice =>
      (ids, now, until) => {
        slices += 1;
        return refreshSlice(ids, now, until);
      };
    await sweepWith({ ...budgetFor(100), wrapSlice });
    expect(slices).toBeLessThanOrEqual(3 + 6);
  });

  it("is resumed where it stopped, and the next sweep wraps around once", async () => {
    const all = await putMany(100);
    await sweepWith(budgetFor(70));
    const { ok, ids, logs } = await sweepWith();
    expect(ok).toBe(true);
    expect(ids).toEqual([...all.slice(70), ...all.slice(0, 70)]);
    expect(logs).toMatchObject([{ event: "sweep.finished", fields: { refreshed: 100 } }]);
  });

  it.each([1, 39, 41, 333])(
    "refreshes each experiment once before it refreshes any a second time, at %i per sweep",
    async (perSweep) => {
      const all = await putMany(500);
      const refreshCounts = new Map(all.map((id) => [id, 0]));
      for (let sweeps = 0; sweeps < Math.min(1200 / perSweep, 40); sweeps++) {
        const { ids, logs } = await sweepWith(budgetFor(perSweep));
        expect(ids).toHaveLength(perSweep);
        expect(logs).toMatchObject([{ event: "sweep.out_of_time", fields: { left: 500 - perSweep } }]);
        for (const id of ids) refreshCounts.set(id, (refreshCounts.get(id) ?? 0) + 1);
        expect(Math.max(...refreshCounts.values()) - Math.min(...refreshCounts.values())).toBeLessThanOrEqual(1);
      }
    },
  );

  it("reaches all experiments over several sweeps even if every refresh fails", async () => {
    const all = await putMany(100);
    const reached = new Set<string>();
    for (let sweeps = 0; sweeps < 10; sweeps++) {
      const budget = budgetFor(10);
      const failed: RefreshOutcome = { status: "failed", kind: "timeout", retryAt: null };
      const { ids } = await sweepWith({
        ...budget,
        refresh: async () => ((await budget.refresh()).status ? failed : failed),
      });
      for (const id of ids) reached.add(id);
    }
    expect([...reached].sort()).toEqual(all);
  });

  it("keeps the progress of the sweep before if it has no time at all", async () => {
    const all = await putMany(50);
    await sweepWith(budgetFor(10));
    const { ids, logs } = await sweepWith({ until: NOW });
    expect(ids).toEqual([]);
    expect(logs).toMatchObject([{ fields: { refreshed: 0, left: 50, oldest_as_of: null } }]);
    expect((await sweepWith()).ids).toEqual([...all.slice(10), ...all.slice(0, 10)]);
  });

  it("is resumed in the right place even if the experiments there were deleted, became final or were postponed", async () => {
    await putMany(100);
    await sweepWith(budgetFor(50));
    await deleteExperiment(database, idOf(49), null);
    await run(`UPDATE experiments SET is_final = 1, refresh_requested_at = NULL WHERE id = '${idOf(50)}'`);
    await run(`UPDATE experiments SET started_at = ${NOW + 1} WHERE id = '${idOf(51)}'`);
    const { ids } = await sweepWith();
    expect(ids[0]).toBe(idOf(52));
    expect(ids).toHaveLength(97);
  });
});

describe("a sweep over several pages", () => {
  it("refreshes each once, although every refresh changes its row", async () => {
    const all = await putMany(5300);
    const { ids } = await sweepWith({
      refresh: async (id, now) => {
        await runOnPrimary(database, { sql: "UPDATE experiments SET as_of = ? WHERE id = ?", values: [now, id] });
        return REFRESHED;
      },
    });
    expect(ids).toEqual(all);
  });

  it("skips only deleted experiments, and includes those created further on in its order", async () => {
    const all = await putMany(5300);
    let started = 0;
    const { ids } = await sweepWith({
      refresh: async () => {
        started += 1;
        if (started === 100) {
          await put("experiment-000000a", NOW);
          await put("zebra", NOW);
          await put(idOf(5200), NOW - DAY);
          await deleteExperiment(database, idOf(5250), null);
        }
        return REFRESHED;
      },
    });
    expect(ids).toEqual([...all.filter((id) => id !== idOf(5250)), "zebra"]);
  });

  it("is resumed behind the slices in flight if it was killed", async () => {
    const all = await putMany(12_000);
    let started = 0;
    const killed: Promise<unknown>[] = [];
    await new Promise<void>((resolve) => {
      const sweeping = sweepWith({
        refresh: async () => {
          started += 1;
          if (started < 11_000) return REFRESHED;
          resolve();
          return new Promise<never>(() => undefined);
        },
      });
      killed.push(sweeping);
    });
    const { ids } = await sweepWith();
    const from = all.indexOf(ids[0] ?? "");
    expect(from).toBeGreaterThan(11_000);
    expect(from).toBeLessThanOrEqual(11_000 + 6 * 40);
    expect(ids).toEqual([...all.slice(from), ...all.slice(0, from)]);
  });

  it("reaches all experiments over several sweeps, each of which is killed by the first experiment that it refreshes", async () => {
    const all = await putMany(200);
    const reached = new Set<string>();
    for (let sweeps = 0; sweeps < 5; sweeps++) {
      const killer = await new Promise<string>((resolve) => {
        void sweepWith({
          concurrency: 1,
          refresh: async (id) => {
            resolve(id);
            return new Promise<never>(() => undefined);
          },
        });
      });
      expect(reached).not.toContain(killer);
      for (const id of all.slice(all.indexOf(killer), all.indexOf(killer) + 40)) reached.add(id);
    }
    expect([...reached].sort()).toEqual(all);
  });

  it("is followed by a sweep with the same start if it covered all experiments", async () => {
    const all = await putMany(5300);
    await sweepWith(budgetFor(5200));
    const around = [...all.slice(5200), ...all.slice(0, 5200)];
    expect((await sweepWith()).ids).toEqual(around);
    expect((await sweepWith()).ids).toEqual(around);
  });
});

describe("a sweep with many slices", () => {
  /** A refresh that counts the refreshes in flight. */
  function counter(ends: (id: string) => Promise<unknown> = nextTurn) {
    const state = { inFlight: 0, maxInFlight: 0 };
    const refresh = async (id: string): Promise<RefreshOutcome> => {
      state.inFlight += 1;
      state.maxInFlight = Math.max(state.maxInFlight, state.inFlight);
      await ends(id);
      state.inFlight -= 1;
      return REFRESHED;
    };
    return { state, refresh };
  }

  it.each([1, 6, 17])("runs up to %i refreshes at once in all slices together, and no more", async (concurrency) => {
    await putMany(1000);
    const { state, refresh } = counter();
    expect((await sweepWith({ refresh, concurrency })).ok).toBe(true);
    expect(state.maxInFlight).toBe(concurrency);
  });

  it("uses slices that fit into the subrequests of one invocation on the free plan", async () => {
    await putMany(1000);
    const sizes: number[] = [];
    const wrapSlice =
      (refreshSlice: RefreshSlice): RefreshSlice =>
      (ids, now, until) => {
        sizes.push(ids.length);
        return refreshSlice(ids, now, until);
      };
    await sweepWith({ wrapSlice });
    expect(sizes).toHaveLength(25);
    expect(Math.max(...sizes)).toBe(40);
  });

  it("still runs six refreshes at once while five slices wait for a slow query each", async () => {
    await putMany(1000);
    const slow: (() => void)[] = [];
    let fastCount = 0;
    // The first refresh of each of the first five slices ends only after all others.
    const isSlow = (id: string) => [0, 40, 80, 120, 160].map(idOf).includes(id);
    const { state, refresh } = counter((id) => {
      if (isSlow(id)) return new Promise<void>((resolve) => slow.push(resolve));
      fastCount += 1;
      if (fastCount === 995) for (const end of slow) end();
      return nextTurn();
    });
    expect(await sweepWith({ refresh })).toMatchObject({ ok: true });
    expect(state.maxInFlight).toBe(6);
  });

  it("counts a slice that throws as failed, and continues with the others", async () => {
    const all = await putMany(100);
    const wrapSlice =
      (refreshSlice: RefreshSlice): RefreshSlice =>
      (ids, now, until) =>
        ids.includes(idOf(50)) ? Promise.reject(new Error("reset")) : refreshSlice(ids, now, until);
    const { ok, ids, logs } = await sweepWith({ wrapSlice });
    expect(ok).toBe(false);
    expect(ids).toEqual([...all.slice(0, 40), ...all.slice(80)]);
    expect(logs).toEqual([
      {
        level: "error",
        event: "slice.failed",
        fields: { experiment_ids: all.slice(40, 80), error: expect.stringContaining("reset") },
      },
      { level: "error", event: "sweep.finished", fields: { refreshed: 60, skipped: 0, failed: 40 } },
    ]);
  });

  it("waits for the refreshes in flight even if the next page can't be read", async () => {
    await putMany(5300);
    let pages = 0;
    const on: Database = {
      ...database,
      transact: async (statements) => {
        if (statements.some(({ sql }) => sql.startsWith("SELECT id")) && ++pages === 2) throw new Error("no disk");
        return database.transact(statements);
      },
    };
    const { state, refresh } = counter();
    const { ok, logs } = await sweepWith({ refresh, on });
    expect(ok).toBe(false);
    expect(state.inFlight).toBe(0);
    expect(logs).toMatchObject([{ event: "sweep.failed", fields: { refreshed: 5000 } }]);
  });

  it("runs one statement per page of 5,000 experiments, one per slice and two others", async () => {
    await putMany(20_001);
    let statements = 0;
    const on: Database = {
      ...database,
      transact: (list) => {
        statements += list.length;
        return database.transact(list);
      },
    };
    await sweepWith({ on });
    expect(statements).toBe(2 + 5 + 501);
  });
});

describe("the query for due experiments", () => {
  it("reads only a covering index", async () => {
    const plan = await run(`EXPLAIN QUERY PLAN SELECT id FROM experiments
      WHERE ${NEEDS_REFRESH} AND started_at <= 1 AND id > 'a' AND (NULL IS NULL OR id <= NULL) ORDER BY id LIMIT 5000`);
    expect(plan.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/^SEARCH experiments USING COVERING INDEX experiments_to_sweep \(id>\?/),
    ]);
  });
});
