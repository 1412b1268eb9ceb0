import { beforeEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Database } from "../../src/store/database.ts";
import { type ExperimentInput, getExperiment, putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";

const NOW = Date.UTC(2026, 5, 3, 14);
const HOUR = 3_600_000;
const START = NOW - 48 * HOUR;

let database: Database;
beforeEach(async () => {
  database = openSqlite(":memory:");
  await migrate(database, readMigrations("migrations/d1"));
});

type Weights = readonly (readonly [key: string, weight: number])[];
const EVEN: Weights = [
  ["a", 50],
  ["b", 50],
];
const RAMP: Weights = [
  ["a", 90],
  ["b", 10],
];

/** Saves the experiment, and returns when its weights changed. */
async function put(weights: Weights, now: number, fields: Partial<ExperimentInput> = {}): Promise<number | null> {
  const input = {
    id: "ramp",
    name: "ramp",
    environmentKey: "env",
    featureName: "button",
    metrics: [],
    startedAt: START,
    endedAt: null,
    ...fields,
    variants: weights.map(([key, weight]) => ({ key, weight })),
  };
  const saved = await putExperiment(database, input, null, now, { replaceNumbers: true });
  if (!saved.ok) throw new Error(saved.failure.kind);
  expect(await getExperiment(database, "ramp", null)).toEqual(saved.value.experiment);
  return saved.value.experiment.weightsChangedAt;
}

describe("weights_changed_at", () => {
  it.each<{ when: string; before: Weights; after: Weights }>([
    { when: "the ratio changes", before: RAMP, after: EVEN },
    {
      when: "a ratio of small whole numbers changes",
      before: [
        ["a", 1],
        ["b", 2],
      ],
      after: [
        ["a", 1],
        ["b", 3],
      ],
    },
    {
      when: "the weights swap",
      before: RAMP,
      after: [
        ["b", 90],
        ["a", 10],
      ],
    },
    { when: "a variant is added", before: EVEN, after: [...EVEN, ["c", 1]] },
    {
      when: "a variant is renamed",
      before: EVEN,
      after: [
        ["a", 50],
        ["B", 50],
      ],
    },
    {
      when: "a variant gets weight 0",
      before: EVEN,
      after: [
        ["a", 100],
        ["b", 0],
      ],
    },
    {
      when: "keys differ after a NUL character",
      before: [
        ["a", 1],
        ["b\0c", 1],
      ],
      after: [
        ["a", 1],
        ["b\0d", 1],
      ],
    },
    { when: "all weights are removed", before: EVEN, after: [] },
    {
      when: "all weights become 0",
      before: EVEN,
      after: [
        ["a", 0],
        ["b", 0],
      ],
    },
    {
      when: "the largest weights change",
      before: [
        ["a", 1e308],
        ["b", 1e308],
      ],
      after: [
        ["a", 1e308],
        ["b", 5e307],
      ],
    },
  ])("is the time of an edit by which $when", async ({ before, after }) => {
    expect(await put(before, START)).toBeNull();
    expect(await put(after, NOW)).toBe(NOW);
    expect(await put(after, NOW + 1, { name: "Another", endedAt: NOW + HOUR })).toBe(NOW);
  });

  it.each<{ when: string; before: Weights; after: Weights }>([
    { when: "the weights stay", before: RAMP, after: RAMP },
    {
      when: "50 and 50 become 1 and 1",
      before: EVEN,
      after: [
        ["a", 1],
        ["b", 1],
      ],
    },
    {
      when: "90 and 10 become 0.9 and 0.1",
      before: RAMP,
      after: [
        ["a", 0.9],
        ["b", 0.1],
      ],
    },
    {
      when: "thirds are rounded",
      before: [
        ["a", 1 / 3],
        ["b", 2 / 3],
      ],
      after: [
        ["a", 33.3333333333],
        ["b", 66.6666666666],
      ],
    },
    {
      when: "the order changes",
      before: RAMP,
      after: [
        ["b", 10],
        ["a", 90],
      ],
    },
    { when: "a variant of weight 0 is added", before: EVEN, after: [...EVEN, ["c", 0]] },
    { when: "the first weights are configured", before: [], after: EVEN },
    {
      when: "the first weights above 0 are configured",
      before: [
        ["a", 0],
        ["b", 0],
      ],
      after: EVEN,
    },
    { when: "there are no weights before and after", before: [], after: [["a", 0]] },
  ])("stays null when $when", async ({ before, after }) => {
    expect(await put(before, START)).toBeNull();
    expect(await put(after, NOW)).toBeNull();
  });

  it("is the time of the last change, also of one back to the first weights", async () => {
    await put(EVEN, START);
    expect(await put(RAMP, NOW)).toBe(NOW);
    expect(await put(EVEN, NOW + HOUR)).toBe(NOW + HOUR);
  });

  it("is the time at which removed weights are set again", async () => {
    await put(EVEN, START);
    expect(await put([], NOW)).toBe(NOW);
    expect(await put(EVEN, NOW + HOUR)).toBe(NOW + HOUR);
  });

  it("stays null for edits of a draft, up to the start", async () => {
    expect(await put(EVEN, NOW, { startedAt: null })).toBeNull();
    expect(await put(RAMP, NOW, { startedAt: null })).toBeNull();
    expect(await put(EVEN, NOW, { startedAt: NOW + HOUR })).toBeNull();
    expect(await put(RAMP, NOW + HOUR - 1, { startedAt: NOW + HOUR })).toBeNull();
    expect(await put(EVEN, NOW + HOUR, { startedAt: NOW + HOUR })).toBeNull();
    expect(await put(RAMP, NOW + HOUR + 1, { startedAt: NOW + HOUR })).toBe(NOW + HOUR + 1);
  });

  it.each<{ what: string; fields: Partial<ExperimentInput> }>([
    { what: "start", fields: { startedAt: START + 1 } },
    { what: "start, cleared", fields: { startedAt: null } },
    { what: "feature", fields: { featureName: "another" } },
    { what: "environment", fields: { environmentKey: "another" } },
  ])("is cleared by an edit of the $what, also with other weights", async ({ fields }) => {
    await put(EVEN, START);
    await put(RAMP, NOW);
    expect(await put(EVEN, NOW + 1, fields)).toBeNull();
  });

  it("is kept by corrections after the end, which are no change", async () => {
    const ended = { endedAt: NOW };
    await put(EVEN, START, ended);
    expect(await put(RAMP, NOW, ended)).toBeNull();
    expect(await put(EVEN, NOW + HOUR, { endedAt: null })).toBe(NOW + HOUR);
    expect(await put(RAMP, NOW + 2 * HOUR, { endedAt: NOW + 2 * HOUR })).toBe(NOW + HOUR);
  });

  it("is not before the edit that it follows, when the clock has gone back", async () => {
    await put(EVEN, NOW);
    expect(await put(RAMP, NOW - HOUR)).toBe(NOW);
  });
});
