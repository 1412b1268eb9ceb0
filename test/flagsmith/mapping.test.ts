import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mapExperiment } from "../../src/flagsmith/mapping.ts";
import { type Allocation, type ListedExperiment, readExperiment } from "../../src/flagsmith/shapes.ts";
import { experimentJson } from "../../src/http/responses.ts";
import { experimentBody, experimentInput } from "../../src/http/schemas.ts";
import { type EntryInput, entry, options } from "../support/flagsmith-shapes.ts";
import { HOSTILE_NAMES } from "../support/hostile-names.ts";
import { runs } from "../support/runs.ts";

const STARTED = Date.parse("2026-06-01T00:00:00.123Z");

function listedOf(input: EntryInput = {}): ListedExperiment {
  const read = readExperiment(entry(7, input));
  if (read === null || "unreadable" in read) throw new Error("The entry is not readable.");
  return read;
}

function map(input: EntryInput, rollout: Allocation[] | null = null, events: Record<number, string> = {}) {
  const eventOf = (id: number) => events[id];
  return mapExperiment({ environmentKey: "env", listed: listedOf(input), eventOf, rollout, stored: null });
}

const weightsOf = (...of: Parameters<typeof map>) => map(...of).input.variants.map(({ weight }) => weight);

const option = { id: 4, key: "a", default_percentage_allocation: 0 };

describe("an experiment of Flagsmith", () => {
  it("becomes an experiment with the same feature, times, weights and metrics", () => {
    const metrics = [{ metric: 3, aggregation: "occurrence", expected_direction: "increase" }];
    expect(map({ metrics }, [{ optionId: 1, percentage: 20 }], { 3: "buy" })).toEqual({
      notes: [],
      input: {
        id: "flagsmith-7",
        name: "Experiment 7",
        environmentKey: "env",
        featureName: "feature-7",
        variants: [
          { key: "control", weight: 80 },
          { key: "treatment-1", weight: 20 },
        ],
        metrics: [
          {
            key: "m3",
            name: "Metric 3",
            event: "buy",
            aggregation: "occurrence",
            expectedDirection: "increase",
            conversionWindowHours: null,
            lookbackDays: 0,
          },
        ],
        startedAt: STARTED,
        endedAt: null,
      },
    });
  });

  it.each([
    ["created", { started_at: null }, null, null],
    ["running", {}, STARTED, null],
    ["paused", {}, STARTED, null],
    ["completed", { ended_at: "2026-06-02T00:00:00.5Z" }, STARTED, Date.parse("2026-06-02T00:00:00.500Z")],
    ["completed", { ended_at: "2026-06-01T00:00:00.1239Z" }, STARTED, STARTED + 1],
    ["completed", { started_at: null, ended_at: "2026-06-02T00:00:00Z" }, null, null],
  ])("that is %s with %o has its window", (status, times, startedAt, endedAt) => {
    expect(map({ status, ...times }).input).toMatchObject({ startedAt, endedAt });
  });

  it("takes the weights of options without a rollout from the environment", () => {
    expect(weightsOf({ options: options(30, 20) }, [{ optionId: 2, percentage: 40 }])).toEqual([30, 30, 40]);
    expect(weightsOf({ options: options(33.3, 33.3) })).toEqual([33.4, 33.3, 33.3]);
    expect(weightsOf({ options: options(33.3, 33.3, 33.4) })).toEqual([0, 33.3, 33.3, 33.4]);
    expect(weightsOf({ options: options(0) }, [{ optionId: 1, percentage: 0 }])).toEqual([100, 0]);
  });

  it.each([
    ["has no key", [{ id: 4, key: null, default_percentage_allocation: 50 }], /option 4 .* no key/],
    ["is called control", [{ id: 4, key: "control", default_percentage_allocation: 50 }], /two variants have the key/],
    ["is over 100 % with another", options(60, 60), /add up to 120 %/],
    ["was set to 0 by Flagsmith", options(0), /has no rollout\. Set one/],
    [
      "has the key of another",
      options(10, 10).map((option) => ({ ...option, key: "a" })),
      /two variants have the key a/,
    ],
    ["has a key that is too long", [{ ...option, key: "x".repeat(256) }], /option 4 is too long/],
    [
      "is one of too many",
      Array.from({ length: 201 }, (_, id) => ({ ...option, id: id + 1 })),
      /more than 200 options/,
    ],
  ])("has unknown weights when an option %s", (_, given, note) => {
    const { input, notes } = map({ options: given });
    expect(input.variants).toEqual([]);
    expect(notes).toEqual([expect.stringMatching(note)]);
  });

  it("has known weights with 200 options, keys of 255 characters and events of 1,000", () => {
    const keyed = (id: number) => ({ id, key: String(id).padStart(255, "x"), default_percentage_allocation: 0.5 });
    const metrics = [{ metric: 3, expected_direction: "increase" }];
    const given = { options: Array.from({ length: 200 }, (_, index) => keyed(index + 1)), metrics };
    const { input, notes } = map(given, null, { 3: "e".repeat(1000) });
    expect({ variants: input.variants.length, metrics: input.metrics.length, notes }).toEqual({
      variants: 201,
      metrics: 1,
      notes: [],
    });
  });

  it("that is a draft waits for its rollout", () => {
    expect(map({ status: "created", options: options(0) }).notes).toEqual([
      "The weights are unknown: the experiment has no rollout yet.",
    ]);
  });

  it("that is completed but has no end goes on", () => {
    expect(map({ status: "completed", ended_at: null }).input).toMatchObject({ startedAt: STARTED, endedAt: null });
  });

  it("that is a draft has no start, whatever Flagsmith says", () => {
    expect(map({ status: "created" }).input.startedAt).toBeNull();
  });

  it("has no NUL in its name", () => {
    expect(map({ name: "a\0b" }).input.name).toBe("ab");
  });

  it("has exactly 20 metrics without a note", () => {
    const metrics = Array.from({ length: 20 }, (_, index) => ({ metric: index + 1, expected_direction: "increase" }));
    const events = Object.fromEntries(metrics.map(({ metric }) => [metric, "buy"]));
    expect(map({ metrics }, null, events)).toMatchObject({ notes: [], input: { metrics: { length: 20 } } });
  });

  it.each([
    ["is not listed", undefined, "mean", /does not list its event/],
    ["counts exposures", "$flag_exposure", "mean", /that of exposures/],
    ["has an empty event", "", "mean", /empty, too long or contains invalid characters/],
    ["has a NUL in its event", "a\0", "mean", /empty, too long or contains invalid characters/],
    ["has an event that is too long", "e".repeat(1001), "mean", /empty, too long or contains invalid characters/],
    ["has an unknown aggregation", "buy", "median", /does not know its aggregation/],
  ])("leaves out a metric that %s", (_, event, aggregation, note) => {
    const metrics = [3, 4].map((metric) => ({ metric, aggregation: "mean", expected_direction: "increase" }));
    const first = { metric: 3, aggregation, expected_direction: "increase" };
    const events = event === undefined ? { 4: "buy" } : { 3: event, 4: "buy" };
    const { input, notes } = map({ metrics: [first, ...metrics.slice(1)] }, null, events);
    expect(input.metrics.map(({ key }) => key)).toEqual(["m4"]);
    expect(notes).toEqual([expect.stringMatching(note)]);
  });

  it("leaves out a metric with an unknown direction", () => {
    const metrics = [{ metric: 3, aggregation: "mean", expected_direction: "sideways" }];
    expect(map({ metrics }, null, { 3: "buy" })).toMatchObject({
      input: { metrics: [] },
      notes: [expect.stringMatching(/direction/)],
    });
  });

  it("keeps the event of each stored metric", () => {
    const metrics = [3, 4].map((metric) => ({ metric, expected_direction: "increase" }));
    const stored = map({ metrics }, null, { 3: "buy", 4: "sell" }).input;
    const listed = listedOf({ metrics });
    const again = mapExperiment({ environmentKey: "env", listed, eventOf: () => null, rollout: null, stored });
    expect(again.input.metrics.map(({ event }) => event)).toEqual(["buy", "sell"]);
  });

  it("keeps a stored metric whose definition Flagsmith has deleted", () => {
    const metrics = [{ metric: 3, expected_direction: "increase" }];
    const stored = map({ metrics }, null, { 3: "buy" }).input;
    const listed = listedOf({ metrics });
    const again = mapExperiment({ environmentKey: "env", listed, eventOf: () => undefined, rollout: null, stored });
    expect(again).toEqual({ input: stored, notes: [] });
  });

  it("has at most 20 metrics, and a name of at most 255 characters", () => {
    const metrics = Array.from({ length: 23 }, (_, metric) => ({ metric: metric + 1, expected_direction: "increase" }));
    const events = Object.fromEntries(metrics.map(({ metric }) => [metric, "buy"]));
    const { input, notes } = map({ metrics, name: "x".repeat(1000) }, null, events);
    expect(input.metrics.map(({ key }) => key)).toEqual(Array.from({ length: 20 }, (_, index) => `m${index + 1}`));
    expect(notes).toEqual([expect.stringContaining("first 20 of 23")]);
    expect(input.name).toHaveLength(255);
  });

  it("is always one that the API accepts, and the same whatever the order of options and metrics", () => {
    const texts = fc.oneof(fc.constantFrom(...HOSTILE_NAMES, "", "control", "\ud800", "x".repeat(300)), fc.string());
    const percentage = fc.oneof(fc.constantFrom(0, 33.3, 50, 100), fc.double({ min: 0, max: 100, noNaN: true }));
    const id = fc.integer({ min: 1, max: 30 });
    const time = fc.option(fc.date({ min: new Date(0), max: new Date("2299-12-31"), noInvalidDate: true }));
    const input = fc.record({
      name: texts,
      status: fc.constantFrom("created", "running", "paused", "completed"),
      options: fc.uniqueArray(fc.record({ id, key: fc.option(texts), default_percentage_allocation: percentage }), {
        selector: (option) => option.id,
        maxLength: 5,
      }),
      metrics: fc.array(
        fc.record({
          metric: id,
          aggregation: fc.constantFrom("occurrence", "count", "sum", "mean", "median"),
          expected_direction: fc.constantFrom("increase", "decrease", "not_increase", "not_decrease", "sideways"),
        }),
        { maxLength: 25 },
      ),
      started_at: time.map((date) => date?.toISOString() ?? null),
      ended_at: time.map((date) => date?.toISOString() ?? null),
    });
    const rollout = fc.option(fc.array(fc.record({ optionId: id, percentage }), { maxLength: 5 }));
    const events = fc.dictionary(id.map(String), texts);
    fc.assert(
      fc.property(input, rollout, events, (given, allocations, eventOf) => {
        const mapped = map(given, allocations, eventOf);
        const stored = {
          ...mapped.input,
          createdAt: 0,
          updatedAt: 0,
          source: "flagsmith" as const,
          weightsChangedAt: null,
        };
        const { id, status, created_at, updated_at, source, weights_changed_at, ...body } = experimentJson(stored, 0);
        const parsed = experimentBody.safeParse(body);
        expect(parsed.error?.issues).toBeUndefined();
        if (parsed.data !== undefined) expect(experimentInput(id, parsed.data)).toEqual(mapped.input);
        const sum = mapped.input.variants.reduce((total, { weight }) => total + weight, 0);
        if (mapped.input.variants.length > 0) expect(sum).toBeCloseTo(100, 4);
        expect(map({ ...given, options: given.options.toReversed() }, allocations, eventOf)).toEqual(mapped);
        for (const note of mapped.notes) expect(note).toMatch(/\.$/);
      }),
      { numRuns: runs(200) },
    );
  });
});
