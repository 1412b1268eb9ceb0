import { describe, expect, it } from "vitest";
import type { RefreshOutcome } from "../../src/refresh/coordinator-types.ts";
import type { RefreshSlice } from "../../src/refresh/refresh-slice.ts";
import { type Database, runOnPrimary } from "../../src/store/database.ts";
import { deleteExperiment } from "../../src/store/experiments.ts";
import {
  DAY,
  database,
  eachOnItsDatabase,
  NOW,
  nameOf,
  put,
  putMany,
  REFRESHED,
  sweepWith,
} from "../support/sweeps.ts";

eachOnItsDatabase();

const run = (sql: string) => runOnPrimary(database, { sql, values: [] });
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Time for so many refreshes, each of which takes a moment. */
function timeFor(refreshes: number) {
  let begun = 0;
  return {
    clock: () => NOW + begun,
    until: NOW + refreshes,
    refresh: async () => {
      begun += 1;
      return REFRESHED;
    },
  };
}

describe("a sweep for which time runs out", () => {
  it("begins no more, tells how many are left, since when the next one waits and what to do, and fails", async () => {
    await putMany(100);
    await run(`UPDATE experiments SET as_of = ${NOW - DAY} WHERE id = '${nameOf(70)}'`);
    const { ok, ids, logs } = await sweepWith(timeFor(70));
    expect(ok).toBe(false);
    expect(ids).toEqual(Array.from({ length: 70 }, (_, index) => nameOf(index)));
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
          advice: expect.stringContaining("SWEEP_CONCURRENCY"),
        },
      },
    ]);
  });

  it("lets those end that are under way, and counts them", async () => {
    await putMany(20);
    let time = NOW;
    const { logs, ids } = await sweepWith({
      clock: () => time,
      refresh: async () => {
        await turn();
        time = NOW + 1;
        return REFRESHED;
      },
    });
    expect(ids).toHaveLength(6);
    expect(logs).toMatchObject([{ event: "sweep.out_of_time", fields: { refreshed: 6, left: 14 } }]);
  });

  it("hands over no more slices", async () => {
    await putMany(2000);
    let slices = 0;
    const hand =
      (refreshSlice: RefreshSlice): RefreshSlice =>
      (ids, now, until) => {
        slices += 1;
        return refreshSlice(ids, now, until);
      };
    await sweepWith({ ...timeFor(100), hand });
    expect(slices).toBeLessThanOrEqual(3 + 6);
  });

  it("is followed by one that goes on where it stopped, and goes once round", async () => {
    const all = await putMany(100);
    await sweepWith(timeFor(70));
    const { ok, ids, logs } = await sweepWith();
    expect(ok).toBe(true);
    expect(ids).toEqual([...all.slice(70), ...all.slice(0, 70)]);
    expect(logs).toMatchObject([{ event: "sweep.finished", fields: { refreshed: 100 } }]);
  });

  it.each([1, 39, 41, 333])(
    "leaves nobody out for longer than need be: each has its turn before any has two, at %i a sweep",
    async (each) => {
      const all = await putMany(500);
      const turns = new Map(all.map((id) => [id, 0]));
      for (let sweeps = 0; sweeps < Math.min(1200 / each, 40); sweeps++) {
        const { ids, logs } = await sweepWith(timeFor(each));
        expect(ids).toHaveLength(each);
        expect(logs).toMatchObject([{ event: "sweep.out_of_time", fields: { left: 500 - each } }]);
        for (const id of ids) turns.set(id, (turns.get(id) ?? 0) + 1);
        expect(Math.max(...turns.values()) - Math.min(...turns.values())).toBeLessThanOrEqual(1);
      }
    },
  );

  it("is not held up for good by those that fail and never get newer numbers", async () => {
    const all = await putMany(100);
    const reached = new Set<string>();
    for (let sweeps = 0; sweeps < 10; sweeps++) {
      const time = timeFor(10);
      const failed: RefreshOutcome = { status: "failed", kind: "timeout", transient: true };
      const { ids } = await sweepWith({
        ...time,
        refresh: async () => ((await time.refresh()).status ? failed : failed),
      });
      for (const id of ids) reached.add(id);
    }
    expect([...reached].sort()).toEqual(all);
  });

  it("loses nothing though it had no time at all", async () => {
    const all = await putMany(50);
    await sweepWith(timeFor(10));
    const { ids, logs } = await sweepWith({ until: NOW });
    expect(ids).toEqual([]);
    expect(logs).toMatchObject([{ fields: { refreshed: 0, left: 50, oldest_as_of: null } }]);
    expect((await sweepWith()).ids).toEqual([...all.slice(10), ...all.slice(0, 10)]);
  });

  it("goes on in place, though whom it stopped at is gone, final or put off by then", async () => {
    await putMany(100);
    await sweepWith(timeFor(50));
    await deleteExperiment(database, nameOf(49), null);
    await run(`UPDATE experiments SET is_final = 1 WHERE id = '${nameOf(50)}'`);
    await run(`UPDATE experiments SET started_at = ${NOW + 1} WHERE id = '${nameOf(51)}'`);
    const { ids } = await sweepWith();
    expect(ids[0]).toBe(nameOf(52));
    expect(ids).toHaveLength(97);
  });
});

describe("a sweep while experiments change", () => {
  it("takes each once, though every refresh changes its row", async () => {
    const all = await putMany(5300);
    const { ids } = await sweepWith({
      refresh: async (id, now) => {
        await runOnPrimary(database, { sql: "UPDATE experiments SET as_of = ? WHERE id = ?", values: [now, id] });
        return REFRESHED;
      },
    });
    expect(ids).toEqual(all);
  });

  it("leaves out none but those deleted, and takes in who comes on its way", async () => {
    const all = await putMany(5300);
    let begun = 0;
    const { ids } = await sweepWith({
      refresh: async () => {
        begun += 1;
        if (begun === 100) {
          await put("experiment-000000a", NOW);
          await put("zebra", NOW);
          await put(nameOf(5200), NOW - DAY);
          await deleteExperiment(database, nameOf(5250), null);
        }
        return REFRESHED;
      },
    });
    expect(ids).toEqual([...all.filter((id) => id !== nameOf(5250)), "zebra"]);
  });

  it("that is killed on its way is taken up near where it was", async () => {
    const all = await putMany(12_000);
    let begun = 0;
    const killed: Promise<unknown>[] = [];
    await new Promise<void>((resolve) => {
      const sweeping = sweepWith({
        refresh: async () => {
          begun += 1;
          if (begun < 11_000) return REFRESHED;
          resolve();
          return new Promise<never>(() => undefined);
        },
      });
      killed.push(sweeping);
    });
    const { ids } = await sweepWith();
    const from = all.indexOf(ids[0] ?? "");
    expect(from).toBeGreaterThan(9_000);
    expect(from).toBeLessThanOrEqual(11_000);
    expect(ids).toEqual([...all.slice(from), ...all.slice(0, from)]);
  });

  it("that is killed while a slow one holds up its slice is taken up before that one's slice", async () => {
    await putMany(6000);
    let begun = 0;
    await new Promise<void>((resolve) => {
      void sweepWith({
        refresh: async (id) => {
          begun += 1;
          if (begun === 5900) resolve();
          return id === nameOf(4990) || begun >= 5900 ? new Promise<never>(() => undefined) : REFRESHED;
        },
      });
    });
    const [first = ""] = (await sweepWith()).ids;
    expect(first <= nameOf(4960), first).toBe(true);
    expect(first > nameOf(4960 - 6 * 40), first).toBe(true);
  });

  it("begins the next one where it began itself, when it came round", async () => {
    const all = await putMany(5300);
    await sweepWith(timeFor(5200));
    const around = [...all.slice(5200), ...all.slice(0, 5200)];
    expect((await sweepWith()).ids).toEqual(around);
    expect((await sweepWith()).ids).toEqual(around);
  });

  it("writes nothing down while all fit on a page: it costs on D1", async () => {
    await putMany(5000);
    await sweepWith();
    expect(await run("SELECT * FROM sweep_progress")).toEqual([]);
  });
});

describe("the load of a sweep", () => {
  /** Notes how many are under way. */
  function counter(ends: (id: string) => Promise<unknown> = turn) {
    const state = { underWay: 0, mostAtOnce: 0 };
    const refresh = async (id: string): Promise<RefreshOutcome> => {
      state.underWay += 1;
      state.mostAtOnce = Math.max(state.mostAtOnce, state.underWay);
      await ends(id);
      state.underWay -= 1;
      return REFRESHED;
    };
    return { state, refresh };
  }

  it.each([1, 6, 17])("is %i at once if that is what it is told, and no more, in all slices together", async (most) => {
    await putMany(1000);
    const { state, refresh } = counter();
    expect((await sweepWith({ refresh, concurrency: most })).ok).toBe(true);
    expect(state.mostAtOnce).toBe(most);
  });

  it("hands over slices that a single invocation has subrequests for, on the free plan too", async () => {
    await putMany(1000);
    const sizes: number[] = [];
    const hand =
      (refreshSlice: RefreshSlice): RefreshSlice =>
      (ids, now, until) => {
        sizes.push(ids.length);
        return refreshSlice(ids, now, until);
      };
    await sweepWith({ hand });
    expect(sizes).toHaveLength(25);
    expect(Math.max(...sizes)).toBe(40);
  });

  it("stays as high as it may be though a slow query is in every slice but one lane's", async () => {
    await putMany(1000);
    const slow: (() => void)[] = [];
    let quick = 0;
    // The first of each of the first five slices never ends, until all others have.
    const isSlow = (id: string) => [0, 40, 80, 120, 160].map(nameOf).includes(id);
    const { state, refresh } = counter((id) => {
      if (isSlow(id)) return new Promise<void>((resolve) => slow.push(resolve));
      quick += 1;
      if (quick === 995) for (const end of slow) end();
      return turn();
    });
    expect(await sweepWith({ refresh })).toMatchObject({ ok: true });
    expect(state.mostAtOnce).toBe(6);
  });

  it("is not ended by a slice that fails as a whole: it counts as failed, and the others go on", async () => {
    const all = await putMany(100);
    const hand =
      (refreshSlice: RefreshSlice): RefreshSlice =>
      (ids, now, until) =>
        ids.includes(nameOf(50)) ? Promise.reject(new Error("reset")) : refreshSlice(ids, now, until);
    const { ok, ids, logs } = await sweepWith({ hand });
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

  it("has ended when the sweep has, though its list could not be read to the end: nothing runs on", async () => {
    await putMany(5300);
    let lists = 0;
    const on: Database = {
      ...database,
      transact: async (statements) => {
        if (statements.some(({ sql }) => sql.startsWith("SELECT id")) && ++lists === 2) throw new Error("no disk");
        return database.transact(statements);
      },
    };
    const { state, refresh } = counter();
    const { ok, logs } = await sweepWith({ refresh, on });
    expect(ok).toBe(false);
    expect(state.underWay).toBe(0);
    expect(logs).toMatchObject([{ event: "sweep.failed", fields: { refreshed: 5000 } }]);
  });

  it("on the database is one statement for each 5,000 experiments, beside the refreshes' own, and the notes", async () => {
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
    expect(statements).toBe(3 + 5 + 4);
  });
});

describe("the sweep's list", () => {
  it("is read from an index alone, however wide the rows are", async () => {
    const plan = await run(`EXPLAIN QUERY PLAN SELECT id FROM experiments
      WHERE is_final = 0 AND started_at <= 1 AND id > 'a' AND (NULL IS NULL OR id <= NULL) ORDER BY id LIMIT 5000`);
    expect(plan.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/^SEARCH experiments USING COVERING INDEX experiments_to_sweep \(id>\?/),
    ]);
  });
});
