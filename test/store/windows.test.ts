import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { importBackups } from "../../src/store/backups.ts";
import { type Database, runOnPrimary } from "../../src/store/database.ts";
import { putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";

const NOW = Date.UTC(2026, 5, 1);
type Times = { startedAt: number | null; endedAt: number | null };

let database: Database;
beforeEach(async () => {
  database = openSqlite(":memory:");
  await migrate(database, readMigrations("migrations/d1"));
});

function inputOf(id: string, times: Times, featureName = "button") {
  return { id, name: id, environmentKey: "env", featureName, variants: [], metrics: [], ...times };
}

/** Returns whether the experiment was saved. */
async function put(id: string, times: Times, feature?: string): Promise<boolean> {
  const saved = await putExperiment(database, inputOf(id, times, feature), null, NOW);
  if (!saved.ok) expect(saved.failure).toEqual({ kind: "feature_taken" });
  return saved.ok;
}

/** Returns whether the experiment was imported. */
async function importOne(id: string, times: Times, isFinal = false): Promise<boolean> {
  const experiment = { ...inputOf(id, times), createdAt: NOW, updatedAt: NOW, weightsChangedAt: null };
  const numbers = { asOf: null, computedAt: null, lastErrorAt: null, isFinal, exposures: null, results: null };
  return (await importBackups(database, [{ experiment, ...numbers }], NOW)).imported.length === 1;
}

const markFinal = (id: string) =>
  runOnPrimary(database, { sql: "UPDATE experiments SET is_final = 1 WHERE id = ?", values: [id] });

const HORIZON = 8;
/** The ticks around now that a window contains. Window `[2, null)` contains 2 to the horizon. */
const ticksOf = ({ startedAt, endedAt }: Times) =>
  Array.from({ length: 2 * HORIZON }, (_, index) => NOW + index - HORIZON).filter(
    (tick) => startedAt !== null && startedAt <= tick && tick < (endedAt ?? Number.POSITIVE_INFINITY),
  );

const times = fc
  .tuple(fc.option(fc.integer({ min: -6, max: 5 })), fc.option(fc.integer({ min: 1, max: 5 })))
  .map(([start, length]): Times => {
    if (start === null) return { startedAt: null, endedAt: length === null ? null : NOW + length };
    return { startedAt: NOW + start, endedAt: length === null ? null : NOW + start + length };
  });

describe("the windows of a feature's experiments", () => {
  it.each([
    ["a PUT", put],
    ["an import", importOne],
  ])("never overlap after %s, unless one is over and final", async (_, add) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(times, fc.boolean()), { minLength: 1, maxLength: 6 }), async (experiments) => {
        await runOnPrimary(database, { sql: "DELETE FROM experiments", values: [] });
        const blocking: Times[] = [];
        for (const [index, [window, becomesFinal]] of experiments.entries()) {
          const ticks = new Set(ticksOf(window));
          const isFree = blocking.every((other) => ticksOf(other).every((tick) => !ticks.has(tick)));
          expect(await add(`${index}`, window)).toBe(isFree);
          const isOver = window.startedAt !== null && window.endedAt !== null && window.endedAt <= NOW;
          if (isFree && becomesFinal && isOver) await markFinal(`${index}`);
          else if (isFree) blocking.push(window);
        }
      }),
    );
  });

  it("may follow each other without a gap, planned or not", async () => {
    expect(await put("a", { startedAt: NOW - 10, endedAt: NOW + 10 })).toBe(true);
    expect(await put("b", { startedAt: NOW + 10, endedAt: null })).toBe(true);
    expect(await put("c", { startedAt: NOW - 20, endedAt: NOW - 10 })).toBe(true);
    expect(await put("d", { startedAt: NOW + 1_000, endedAt: null })).toBe(false);
  });

  it("may overlap across features", async () => {
    expect(await put("a", { startedAt: NOW, endedAt: null })).toBe(true);
    expect(await put("b", { startedAt: NOW, endedAt: null }, "other")).toBe(true);
    expect(await put("b", { startedAt: NOW, endedAt: null })).toBe(false);
  });

  it("do not keep a draft from being saved, but keep it from starting", async () => {
    await put("a", { startedAt: NOW, endedAt: null });
    expect(await put("draft", { startedAt: null, endedAt: null })).toBe(true);
    expect(await put("draft", { startedAt: NOW + 5, endedAt: null })).toBe(false);
  });

  it("do not keep an experiment that overlaps already from edits of its name or its end", async () => {
    await put("old", { startedAt: NOW - 20, endedAt: NOW - 10 });
    await markFinal("old");
    await put("new", { startedAt: NOW - 15, endedAt: null });
    expect(await put("old", { startedAt: NOW - 20, endedAt: NOW - 10 })).toBe(true);
    const replaceNumbers = { omitted: [], replaceNumbers: true };
    const longer = inputOf("old", { startedAt: NOW - 20, endedAt: NOW + 10 });
    expect(await putExperiment(database, longer, null, NOW, replaceNumbers)).toMatchObject({ ok: false });
  });

  it("block if they are final ahead of their end, because of a clock that was ahead", async () => {
    await put("early", { startedAt: NOW - 20, endedAt: NOW + 10 });
    await markFinal("early");
    expect(await put("new", { startedAt: NOW, endedAt: null })).toBe(false);
  });

  it("may overlap in an import of final numbers, in any order", async () => {
    expect(await importOne("new", { startedAt: NOW - 15, endedAt: null })).toBe(true);
    expect(await importOne("old", { startedAt: NOW - 20, endedAt: NOW - 10 }, true)).toBe(true);
    expect(await importOne("early", { startedAt: NOW - 20, endedAt: NOW + 10 }, true)).toBe(false);
  });
});
