import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Metric } from "../../src/experiment.ts";
import type { Comparison } from "../../src/results/compare.ts";
import type { Results } from "../../src/results/compute-results.ts";
import {
  MAX_TREATMENTS,
  NO_RESULT_HISTORY,
  parseResultHistory,
  type ResultHistory,
  resultHistoryText,
  trackResults,
} from "../../src/results/result-history.ts";
import { type Verdict, verdicts } from "../../src/results/verdict.ts";
import { purchases as metric } from "../support/sample-metric.ts";

const comparisonOf = (verdict: Verdict): Comparison => ({
  lift: 0.1,
  interval: [0.05, 0.15],
  pValue: 0.01,
  verdict,
  credibleInterval: null,
  chanceToWin: null,
  varianceReduction: null,
});

/** Results in which each of these treatments has the verdict. */
function resultsOf(verdict: Verdict, change: Partial<Metric> = {}, treatments = ["treatment"], control = "control") {
  const comparisons = new Map(treatments.map((key) => [key, comparisonOf(verdict)]));
  const results: Results = {
    control,
    metrics: [{ metric: { ...metric, ...change }, invalidValues: 0, variants: new Map(), comparisons }],
  };
  return results;
}

/** Tracks results from refresh to refresh, each read as it was stored. Returns the transitions of each as text. */
function trackAll(refreshes: readonly (Results | null)[]): string[][] {
  let history: ResultHistory = NO_RESULT_HISTORY;
  return refreshes.map((results) => {
    const tracked = trackResults(parseResultHistory(resultHistoryText(history)), results);
    history = tracked.history;
    return tracked.transitions.map(
      ({ metric, variant, decision, isResolved, comparison }) =>
        `${metric.key} ${variant} ${isResolved ? "not " : ""}${decision}${comparison === null ? ", gone" : ""}`,
    );
  });
}

/** The alerts at each of several refreshes; null: none. */
function alertsOf(seen: readonly Verdict[]): (string | null)[] {
  return trackAll(seen.map((verdict) => resultsOf(verdict))).map((alerts) => {
    expect(alerts.length).toBeLessThanOrEqual(1);
    return alerts[0]?.replace("purchase treatment ", "") ?? null;
  });
}

const [won, lost, open, harm, fine, wait] = [
  ...(["winning", "losing", "inconclusive", "harmed", "unharmed", "collecting"] as const),
];

describe("trackResults", () => {
  it.each([
    ["alerts at the second refresh in a row with the decision", [open, won, won], [null, null, won]],
    ["alerts after the first two refreshes of an experiment", [lost, lost], [null, lost]],
    ["alerts a harmed guardrail", [wait, fine, harm, harm], [null, null, null, harm]],
    ["does not alert after a single decided refresh", [open, won, open, open], Array(4).fill(null)],
    ["does not alert if the decision alternates", [won, open, won, open, won, lost, won], Array(7).fill(null)],
    ["alerts once while the decision lasts", [won, won, won, won], [null, won, null, null]],
    [
      "resolves at the second open refresh in a row, once",
      [won, won, open, wait, open],
      [null, won, null, `not ${won}`, null],
    ],
    [
      "does not resolve after a single open refresh",
      [won, won, open, won, open, won],
      [null, won, ...Array(4).fill(null)],
    ],
    [
      "alerts again after it was resolved",
      [harm, harm, fine, fine, harm, harm],
      [null, harm, null, `not ${harm}`, null, harm],
    ],
    ["replaces the alert by the opposite decision", [won, won, lost, lost, lost], [null, won, null, lost, null]],
    ["resolves the replaced alert", [won, won, lost, lost, open, open], [null, won, null, lost, null, `not ${lost}`]],
    [
      "resolves before the opposite decision is sure",
      [won, won, open, lost, lost],
      [null, won, null, `not ${won}`, lost],
    ],
    ["keeps the alert through a single opposite decision", [won, won, lost, won, won], [null, won, null, null, null]],
  ] as const)("%s", (_, seen, expected) => {
    expect(alertsOf(seen)).toEqual(expected);
  });

  it("alerts and resolves in turn, each after two refreshes in a row that agree", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...verdicts), { maxLength: 30 }), (seen) => {
        let alerted: string | null = null;
        for (const [index, change] of alertsOf(seen).entries()) {
          if (change === null) continue;
          const pair = [seen[index - 1], seen[index]];
          if (change.startsWith("not ")) {
            expect(change).toBe(`not ${alerted}`);
            expect(pair).not.toContain(alerted);
            alerted = null;
          } else {
            expect(change).not.toBe(alerted);
            expect(pair).toEqual([change, change]);
            alerted = change;
          }
        }
        const end = seen.slice(-2);
        if (end.length === 2 && end[0] === end[1] && [won, lost, harm].includes(end[0] as typeof won))
          expect(alerted).toBe(end[0]);
        else if (alerted !== null) expect(end).toContain(alerted);
      }),
    );
  });

  it.each<[what: string, next: Results | null]>([
    ["is removed, and no other is left", null],
    ["is replaced", resultsOf(won, { key: "order" })],
    ["counts another event", resultsOf(won, { event: "order" })],
    ["has another direction", resultsOf(won, { expectedDirection: "decrease" })],
    ["is compared with another control", resultsOf(won, {}, ["treatment"], "first")],
    ["loses the treatment", resultsOf(won, {}, ["other"])],
  ])("resolves at once, and starts anew, if the metric %s", (_, next) => {
    const [first, second, resolved, again] = trackAll([resultsOf(won), resultsOf(won), next, next]);
    expect([first, second]).toEqual([[], ["purchase treatment winning"]]);
    expect(resolved).toEqual(["purchase treatment not winning, gone"]);
    expect(again).toEqual(next === null ? [] : [expect.stringMatching(/ winning$/)]);
  });

  it("does not resolve what was not alerted", () => {
    expect(trackAll([resultsOf(won), null, resultsOf(won)])).toEqual([[], [], []]);
  });

  it("keeps the alert if only the name changes or another treatment is added", () => {
    const edited = resultsOf(won, { name: "Orders" }, ["treatment", "__proto__"]);
    expect(trackAll([resultsOf(won), resultsOf(won), edited, edited])).toEqual([
      ...[[], ["purchase treatment winning"]],
      ...[[], ["purchase __proto__ winning"]],
    ]);
  });

  it("tracks only the first treatments of a metric", () => {
    const many = resultsOf(
      won,
      {},
      Array.from({ length: MAX_TREATMENTS + 5 }, (_, index) => `t${index}`),
    );
    expect(trackAll([many, many])[1]).toHaveLength(MAX_TREATMENTS);
  });

  it("keeps no entry of what is undecided and not alerted", () => {
    const { history } = trackResults(NO_RESULT_HISTORY, resultsOf(won));
    expect(history.metrics).toHaveLength(1);
    expect(trackResults(history, resultsOf(open)).history).toEqual(NO_RESULT_HISTORY);
  });
});

describe("parseResultHistory", () => {
  const stored = { control: "a", metrics: [{ metric: { key: "x" }, variants: [] }] };
  it.each(["{}", "[]", "null", "1", '"text"', JSON.stringify(stored)])("returns an empty history for %s", (json) => {
    expect(parseResultHistory(json)).toEqual(NO_RESULT_HISTORY);
  });

  it("reads a decision that this version does not know as none", () => {
    const { history } = trackResults(NO_RESULT_HISTORY, resultsOf(won));
    const text = resultHistoryText(history).replace('"winning"', '"of_tomorrow"');
    expect([...(parseResultHistory(text).metrics[0]?.variants ?? [])]).toEqual([
      ["treatment", { last: null, alerted: null }],
    ]);
  });
});
