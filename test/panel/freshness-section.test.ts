import { describe, expect, it } from "vitest";
import type { Experiment } from "../../src/experiment.ts";
import { HOUR } from "../../src/exposures/buckets.ts";
import { freshnessSection } from "../../src/panel/freshness-section.ts";
import type { StoredSummary } from "../../src/store/summaries.ts";
import { plainView } from "../support/plain-view.ts";

const START = Date.UTC(2026, 5, 1);
const END = START + 10 * HOUR;

/** The level of the badge while sweeps come every hour. */
function levelOf(endedAt: number | null, now: number, times: Partial<StoredSummary>): string | undefined {
  const experiment: Experiment = {
    source: "api",
    id: "e",
    name: "E",
    environmentKey: "env",
    featureName: "f",
    variants: [],
    metrics: [],
    startedAt: START,
    endedAt,
    createdAt: START,
    updatedAt: START,
    weightsChangedAt: null,
  };
  const summary: StoredSummary = {
    experiment,
    version: 1,
    asOf: END,
    computedAt: END,
    lastErrorAt: null,
    refreshRequestedAt: null,
    isFinal: false,
    isIdle: false,
    exposures: null,
    results: null,
    ...times,
  };
  const section = freshnessSection({
    experiment,
    summary,
    series: "cumulative",
    now,
    sweepMs: HOUR,
    ...plainView,
  });
  return /class="badge ([^"]*)"/.exec(section.toString())?.[1];
}

describe("the badge of freshnessSection", () => {
  it.each([
    [4, ""],
    [5, "warning"],
    [13, "unhealthy"],
  ])("judges numbers of a running experiment by the time they are of: after %i hours %j", (hours, level) => {
    expect(levelOf(null, END + hours * HOUR, { computedAt: END + hours * HOUR })).toBe(level);
  });

  it.each([
    [0, ""],
    [5, "warning"],
    [13, "unhealthy"],
  ])("judges numbers up to the end by when they were computed: after %i hours %j", (hours, level) => {
    const computedAt = END + 20 * HOUR;
    expect(levelOf(END, computedAt + hours * HOUR, { computedAt })).toBe(level);
  });

  it("judges numbers from before the end by the time they are of", () => {
    expect(levelOf(END, END + 13 * HOUR, { asOf: END - HOUR, computedAt: END + 13 * HOUR })).toBe("unhealthy");
  });

  it("has no level for final numbers", () => {
    expect(levelOf(END, END + 1000 * HOUR, { isFinal: true })).toBe("");
  });
});
