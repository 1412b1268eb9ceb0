import { describe, expect, it } from "vitest";
import { idOf } from "../../src/flagsmith/mapping.ts";
import { mapChange, type PlanInput, planSync } from "../../src/flagsmith/plan.ts";
import { type ListedExperiment, readExperiment } from "../../src/flagsmith/shapes.ts";
import type { StoredExperiment } from "../../src/store/flagsmith.ts";
import { type EntryInput, entry, options } from "../support/flagsmith-shapes.ts";

const HOUR = 3_600_000;
const NOW = Date.parse("2026-06-10T00:00:00.000Z");
const iso = (time: number) => new Date(time).toISOString();

function listed(id: number, input: EntryInput = {}): ListedExperiment {
  const read = readExperiment(entry(id, { updated_at: "t1", ...input }));
  if (read === null || "unreadable" in read) throw new Error("The entry is not readable.");
  return read;
}

/** The experiment as a sync stores it. */
function storedAs(each: ListedExperiment, more: Partial<StoredExperiment> = {}): StoredExperiment {
  const change = { kind: "listed" as const, listed: each, events: {}, rollout: null, lastRollout: null, stored: null };
  const { input } = mapChange("env", change, null, NOW);
  const times = { createdAt: 0, updatedAt: 0, weightsChangedAt: null };
  return { ...input, ...times, source: "flagsmith", isFinal: false, ...more };
}

const readAs = (id: number, more = {}) => ({
  experimentId: idOf(id),
  changedAt: "t1",
  rollout: "null",
  readAt: NOW - 1,
  ...more,
});

const plan = (input: Partial<PlanInput>) =>
  planSync({
    environmentKey: "env",
    listed: [],
    events: new Map(),
    stored: [],
    read: [],
    listedAt: null,
    now: NOW,
    ...input,
  });

describe("planSync", () => {
  it("changes nothing that is as it was read, and repeats its notes", () => {
    const each = listed(1, { options: [{ id: 1, key: null, default_percentage_allocation: 50 }] });
    const { changes, notes } = plan({ listed: [each], stored: [storedAs(each)], read: [readAs(1)] });
    expect(changes).toEqual([]);
    expect(notes).toEqual([{ experimentId: "flagsmith-1", text: expect.stringMatching(/^The weights are unknown/) }]);
  });

  it.each([
    { what: "a new one", input: {}, read: [], needs: true },
    { what: "a changed one", input: { updated_at: "t2" }, read: [readAs(1)], needs: true },
    { what: "one that a webhook named", input: {}, read: [readAs(1, { readAt: 0 })], needs: true },
    { what: "one read an hour ago", input: {}, read: [readAs(1, { readAt: NOW - HOUR })], needs: true },
    {
      what: "a paused one read an hour ago",
      input: { status: "paused" },
      read: [readAs(1, { readAt: NOW - HOUR })],
      needs: true,
    },
    { what: "one read in the last hour", input: {}, read: [readAs(1, { readAt: NOW - HOUR + 1 })], needs: false },
    { what: "a draft", input: { status: "created" }, read: [], needs: false },
    {
      what: "a completed one that was read",
      input: { status: "completed", updated_at: "t2", ended_at: iso(NOW) },
      read: [readAs(1, { readAt: NOW - HOUR })],
      needs: false,
    },
  ])("reads the split of $what: $needs", ({ input, read, needs }) => {
    const { changes } = plan({ listed: [listed(1, input)], read });
    expect(changes).toMatchObject([{ kind: "listed", listed: { id: 1 } }]);
    expect(changes.map((change) => change.kind === "listed" && change.rollout === undefined)).toEqual([needs]);
  });

  it.each([
    { what: "is not final", isFinal: false, needs: true },
    { what: "is final", isFinal: true, needs: false },
  ])("reads the split of a completed one that a webhook named and that $what: $needs", ({ isFinal, needs }) => {
    const each = listed(1, { name: "Other", status: "completed", ended_at: iso(NOW) });
    const { changes } = plan({
      listed: [each],
      stored: [storedAs(each, { name: "Name", isFinal })],
      read: [readAs(1, { readAt: 0 })],
    });
    expect(changes.map((change) => change.kind === "listed" && change.rollout === undefined)).toEqual([needs]);
  });

  it("reads the ten splits again that were read the longest ago", () => {
    const all = Array.from({ length: 12 }, (_, index) => listed(index + 1));
    const read = all.map(({ id }) => readAs(id, { readAt: NOW - HOUR * (id % 12) - 2 * HOUR }));
    const { changes } = plan({ listed: all, stored: all.map((each) => storedAs(each)), read });
    const ids = changes.map((change) => change.kind === "listed" && change.listed.id);
    expect(ids).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it("reads ten splits again besides those that must be read", () => {
    const all = Array.from({ length: 24 }, (_, index) => listed(index + 1));
    const read = all.map(({ id }) => readAs(id, { readAt: id > 12 ? 0 : NOW - HOUR }));
    const { changes } = plan({ listed: all, stored: all.map((each) => storedAs(each)), read });
    expect(changes).toHaveLength(22);
  });

  it("makes those that end come first, then the older ones", () => {
    const ends = { status: "completed", ended_at: iso(NOW) };
    const { changes } = plan({ listed: [listed(3), listed(1), listed(2, ends)] });
    expect(changes.map((change) => change.kind === "listed" && change.listed.id)).toEqual([2, 1, 3]);
  });

  it("says what it can't read, and leaves it as it is", () => {
    const each = listed(1);
    const input = { listed: [{ id: 1, unreadable: true as const }], stored: [storedAs(each)] };
    expect(plan(input)).toEqual({
      changes: [],
      notes: [{ experimentId: "flagsmith-1", text: expect.stringContaining("Update edge-exposures") }],
    });
  });

  it("reads a stored split that is no list as none", () => {
    const each = listed(1, { options: options(0) });
    const { notes } = plan({ listed: [each], stored: [storedAs(each)], read: [readAs(1, { rollout: "{}" })] });
    expect(notes).toMatchObject([{ experimentId: "flagsmith-1" }]);
  });
});

describe("an experiment that Flagsmith no longer lists", () => {
  const gone = listed(1, { feature: "button", started_at: iso(NOW - 9 * HOUR) });
  const started = NOW - 9 * HOUR;
  const endOf = (input: Partial<PlanInput>, more: Partial<StoredExperiment> = {}) =>
    plan({ stored: [storedAs(gone, more)], ...input })
      .changes.filter(({ kind }) => kind === "left")
      .map((change) => change.kind === "left" && change.endedAt);

  it.each<{ when: string; input: Partial<PlanInput>; end: number }>([
    { when: "when it was last listed", input: { listedAt: NOW - HOUR }, end: NOW - HOUR },
    { when: "now, if that is unknown", input: {}, end: NOW },
    { when: "not before it began", input: { listedAt: started - HOUR }, end: started + 1 },
    {
      when: "when the next one of its feature began",
      input: { listed: [listed(2, { feature: "button", started_at: iso(NOW - 3 * HOUR) })], listedAt: NOW - HOUR },
      end: NOW - 3 * HOUR,
    },
    {
      when: "whatever began with another feature",
      input: { listed: [listed(2, { feature: "banner", started_at: iso(NOW - 3 * HOUR) })], listedAt: NOW - HOUR },
      end: NOW - HOUR,
    },
    {
      when: "whatever began before it",
      input: { listed: [listed(2, { feature: "button", started_at: iso(started) })], listedAt: NOW - HOUR },
      end: NOW - HOUR,
    },
    {
      when: "whatever has not begun",
      input: { listed: [listed(2, { feature: "button", status: "created", started_at: null })], listedAt: NOW - HOUR },
      end: NOW - HOUR,
    },
  ])("ends $when", ({ input, end }) => {
    expect(endOf(input)).toEqual([end]);
  });

  it("stays as it is if it is a draft, or over", () => {
    expect(endOf({}, { startedAt: null })).toEqual([]);
    expect(endOf({}, { endedAt: NOW - HOUR })).toEqual([]);
  });
});
