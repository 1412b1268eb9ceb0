import { describe, expect, it } from "vitest";
import type { Experiment } from "../../src/experiment.ts";
import type { Health } from "../../src/exposures/health.ts";
import type { CountedResults } from "../../src/refresh/count-window.ts";
import { trackChanges } from "../../src/refresh/track-changes.ts";
import { NO_RESULT_HISTORY } from "../../src/results/result-history.ts";
import { momentsOf } from "../support/moments.ts";
import { purchases as metric } from "../support/sample-metric.ts";

const experiment: Experiment = {
  id: "cta",
  name: "Checkout CTA",
  environmentKey: "env",
  featureName: "button",
  metrics: [metric],
  variants: ["control", "treatment"].map((key) => ({ key, weight: 1 })),
  source: "api",
  startedAt: 0,
  endedAt: null,
  createdAt: 0,
  updatedAt: 0,
  weightsChangedAt: null,
};
const valuesOf = (least: number) => Array.from({ length: 100 }, (_, index) => least + (index % 10));
/** Counts in which the treatment wins. */
const counted: CountedResults = {
  metrics: [
    {
      metric,
      invalidValues: 0,
      variants: new Map([
        ["control", momentsOf(100, valuesOf(10))],
        ["treatment", momentsOf(100, valuesOf(15))],
      ]),
    },
  ],
  counted: "[]",
};
const health: Health = {
  status: "unhealthy",
  checks: [{ name: "sample_ratio", status: "unhealthy", detail: "The split is off.", figures: {} }],
};

/** Tracks the changes from refresh to refresh. Returns the log lines of the last one, without their details, and its history. */
function trackAll(refreshes: readonly CountedResults[]) {
  let histories = { healthHistory: {}, resultHistory: NO_RESULT_HISTORY };
  let lines: Record<string, string>[] = [];
  for (const results of refreshes) {
    const tracked = trackChanges({ experiment, ...histories }, health, results, { asOf: 1, computedAt: 2 });
    histories = tracked.histories;
    lines = tracked.changes.map(({ event, fields }) => ({ event, ...fields }));
  }
  return { lines, history: histories.resultHistory };
}

describe("trackChanges", () => {
  it("finds the changes of health and of results, with the warning first", () => {
    expect(trackAll([counted, counted]).lines).toEqual([
      { event: "health.changed", check: "sample_ratio", status: "unhealthy", detail: "The split is off." },
      {
        event: "results.changed",
        metric: "purchase",
        variant: "treatment",
        status: "winning",
        detail: expect.stringMatching(
          /^No result should be believed while health is unhealthy \(sample_ratio\)\. Purch/,
        ),
      },
    ]);
  });

  it.each<[results: string, CountedResults]>([
    ["failed", "failed"],
    ["are incomplete, so that the stored ones stay", null],
  ])("keeps the history of results if they %s", (_, missing) => {
    const { history } = trackAll([counted, counted]);
    expect(trackAll([counted, counted, missing, missing])).toMatchObject({ lines: [], history });
    expect(trackAll([counted, missing, counted]).lines).toMatchObject([
      { event: "results.changed", status: "winning" },
    ]);
  });

  it("resolves the alerts of an experiment whose metrics were all removed", () => {
    const { history } = trackAll([counted, counted]);
    const before = { experiment: { ...experiment, metrics: [] }, healthHistory: {}, resultHistory: history };
    const { histories, changes } = trackChanges(before, health, null, { asOf: 1, computedAt: 2 });
    expect(histories.resultHistory).toEqual(NO_RESULT_HISTORY);
    expect(changes.map(({ fields }) => fields)).toMatchObject([{ metric: "purchase", status: "resolved" }]);
  });
});
