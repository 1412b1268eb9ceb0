import { describe, expect, it } from "vitest";
import * as z from "zod";
import { failingAlert, failingResolved, healthAlert, resultsAlert, testAlert } from "../../src/alerts/messages.ts";
import { slackBody } from "../../src/alerts/slack.ts";
import { alertSchemas } from "../../src/dev/openapi/alert-paths.ts";
import type { Experiment } from "../../src/experiment.ts";
import { type Check, type Health, NO_CAUSES } from "../../src/exposures/health.ts";
import type { Comparison } from "../../src/results/compare.ts";
import type { ResultTransition } from "../../src/results/result-history.ts";
import { purchases as metric } from "../support/sample-metric.ts";

const experiment: Experiment = {
  id: "cta",
  name: "Checkout CTA",
  environmentKey: "env",
  featureName: "button",
  variants: [],
  metrics: [metric],
  source: "api",
  startedAt: 0,
  endedAt: null,
  createdAt: 0,
  updatedAt: 0,
  weightsChangedAt: null,
};
const comparison: Comparison = {
  lift: 0.11,
  interval: [0.052, 0.168],
  pValue: 0.0002,
  verdict: "winning",
  credibleInterval: [0.06, 0.16],
  chanceToWin: 0.99,
  varianceReduction: null,
};
const winning = { metric, variant: "treatment", decision: "winning", isResolved: false, comparison } as const;
const healthy: Health = { status: "healthy", checks: [] };
const unhealthy: Health = {
  status: "unhealthy",
  checks: [
    { name: "sample_ratio", status: "unhealthy", detail: "The split is off.", figures: {} },
    { name: "window", status: "warning", detail: "The start has expired.", figures: {} },
  ],
};
const times = { asOf: Date.UTC(2026, 10, 3), computedAt: Date.UTC(2026, 10, 3, 1) };

const bodyOf = (change: Partial<ResultTransition> = {}, health = healthy, of = experiment) =>
  resultsAlert(of, { ...winning, ...change }, health, times).body;
const dataOf = (...parameters: Parameters<typeof bodyOf>) => JSON.parse(bodyOf(...parameters)).data;

describe("healthAlert", () => {
  const alertOf = (figures: Check["figures"], status: "unhealthy" | "resolved" = "unhealthy") => {
    const found = status === "resolved" ? "healthy" : status;
    const check = { name: "sample_ratio", status: found, detail: "The split is off.", figures } as const;
    return JSON.parse(healthAlert(experiment, { check, status }, times).body);
  };

  it("ends with the sentence about the worst cause", () => {
    const alert = alertOf({ causes: [{ detail: '"<2.0>" explains it.' }, { detail: "More." }], causes_detail: "Two." });
    expect(alert.data).toMatchObject({
      detail: 'The split is off. "<2.0>" explains it.',
      cause: '"<2.0>" explains it.',
    });
    expect(JSON.parse(slackBody(JSON.stringify(alert))).text).toContain('"&lt;2.0&gt;" explains it.');
  });

  it.each(["unhealthy", "resolved"] as const)("names the experiment and the check in its title when %s", (status) => {
    expect(alertOf(NO_CAUSES, status).data.title).toBe(`Checkout CTA: sample_ratio ${status}`);
  });

  it("has the check alone if no cause was looked for", () => {
    expect(alertOf(NO_CAUSES).data).toMatchObject({ detail: "The split is off.", cause: null });
  });

  it("conforms to the documented schema, also once it is resolved", () => {
    strict(alertSchemas["HealthChanged"]).parse(alertOf(NO_CAUSES));
    strict(alertSchemas["Resolved"]).parse(alertOf(NO_CAUSES, "resolved"));
  });
});

const strict = (schema: unknown) =>
  z.fromJSONSchema(
    JSON.parse(JSON.stringify(schema), (_, value) =>
      value?.type === "object" ? { ...value, additionalProperties: false } : value,
    ),
  );

describe("resultsAlert", () => {
  it("names the metric and the treatment, with the figures behind the decision", () => {
    expect(JSON.parse(bodyOf())).toEqual({
      type: "results.changed",
      timestamp: "2026-11-03T01:00:00.000Z",
      data: {
        experiment_id: "cta",
        name: "Checkout CTA",
        environment_key: "env",
        feature_name: "button",
        metric: { key: "purchase", name: "Purchases" },
        variant: "treatment",
        verdict: "winning",
        lift: 0.11,
        interval: [0.052, 0.168],
        p_value: 0.0002,
        health: "healthy",
        title: 'Checkout CTA: Purchases: "treatment" is winning',
        detail:
          'Purchases: "treatment" is winning with a lift of +11.0% (95% interval +5.2% to +16.8%, valid at every look).',
        as_of: "2026-11-03T00:00:00.000Z",
      },
    });
  });

  it("says first that no result should be believed while health is unhealthy", () => {
    expect(dataOf({}, unhealthy)).toMatchObject({
      health: "unhealthy",
      title: 'No result should be believed: Checkout CTA: Purchases: "treatment" is winning',
      detail:
        "No result should be believed while health is unhealthy (sample_ratio). " +
        'Purchases: "treatment" is winning with a lift of +11.0% (95% interval +5.2% to +16.8%, valid at every look).',
    });
  });

  it("has one line of bounded length as its title, whatever the experiment is called", () => {
    const name = `Checkout\n<!channel> is down \u202e${"x".repeat(60_000)}`;
    const hostile = { ...experiment, name };
    const check = { name: "window", status: "warning", detail: "The start has expired.", figures: {} } as const;
    const health = JSON.parse(healthAlert(hostile, { check, status: "warning" }, times).body).data;
    const results = dataOf({}, unhealthy, hostile);
    const short = `Checkout\ufffd<!channel> is down \ufffd${"x".repeat(10)}…`;
    expect(health).toMatchObject({ name, title: `${short}: window warning` });
    expect(results.title).toBe(`No result should be believed: ${short}: Purchases: "treatment" is winning`);
  });

  it("names each unhealthy check, and no other", () => {
    const late = { name: "late_events", status: "unhealthy", detail: "Events are late.", figures: {} } as const;
    const { detail } = dataOf({}, { ...unhealthy, checks: [...unhealthy.checks, late] });
    expect(detail).toContain("while health is unhealthy (sample_ratio, late_events). Purchases:");
  });

  it.each<[Partial<ResultTransition>, title: string, detail: string]>([
    [
      { decision: "losing", comparison: { ...comparison, lift: -1.154, interval: [-1.3, -0.0004], verdict: "losing" } },
      "is losing",
      "is losing with a lift of −115.4% (95% interval −130.0% to −0.04%, valid at every look).",
    ],
    [
      { decision: "harmed", comparison: { ...comparison, verdict: "harmed" } },
      "is harmful",
      "is harmful with a lift of +11.0% (95% interval +5.2% to +16.8%, valid at every look).",
    ],
    [
      { isResolved: true, comparison: { ...comparison, lift: 0.04, interval: [-0.01, 0.09], verdict: "inconclusive" } },
      "is no longer winning",
      "is no longer winning. The lift is +4.0% (95% interval −1.0% to +9.0%, valid at every look).",
    ],
    [
      {
        isResolved: true,
        comparison: { ...comparison, lift: null, interval: null, pValue: null, verdict: "collecting" },
      },
      "is no longer winning",
      "is no longer winning, because there is no lift.",
    ],
    [
      { isResolved: true, comparison: null },
      "is no longer compared as it was",
      "is no longer compared as it was, because the metric, the variants or the control have changed.",
    ],
  ])("describes %j", (change, title, detail) => {
    expect(dataOf(change)).toMatchObject({
      title: `Checkout CTA: Purchases: "treatment" ${title}`,
      detail: `Purchases: "treatment" ${detail}`,
    });
  });

  it("conforms to the documented schema, also once it is resolved", () => {
    const { ResultsChanged, Resolved } = alertSchemas;
    strict(ResultsChanged).parse(JSON.parse(bodyOf()));
    for (const comparison of [winning.comparison, null])
      strict(Resolved).parse(JSON.parse(bodyOf({ isResolved: true, comparison })));
    expect(() => strict(ResultsChanged).parse(JSON.parse(bodyOf({ isResolved: true })))).toThrow();
  });

  it("shortens hostile names, keeps them on one line, and escapes them for Slack", () => {
    const name = `<!channel>\n\u202e${"x".repeat(50)}`;
    const { title, detail, variant } = dataOf({ metric: { ...metric, name }, variant: '"\r\n*&*' });
    expect(variant).toBe('"\r\n*&*');
    const shown = `<!channel>\ufffd\ufffd${"x".repeat(27)}…: ""\ufffd\ufffd*&*" is winning`;
    expect(title).toBe(`Checkout CTA: ${shown}`);
    expect(detail).toContain(`${shown} with`);
    const { text } = JSON.parse(slackBody(bodyOf({ metric: { ...metric, name } })));
    expect(text).toContain("&lt;!channel&gt;");
    expect(text).not.toContain("<!");
  });
});

describe("failingAlert", () => {
  const failing = { experiments: 2000, experimentIds: ["cta"], since: Date.UTC(2026, 10, 3), kind: "bad_rows" };
  const alertOf = (kind: string) => JSON.parse(failingAlert({ ...failing, kind }, times.computedAt).body);

  it("says since when refreshes fail, and what to do", () => {
    expect(alertOf("bad_rows").data).toMatchObject({
      title: "Refreshes of 2,000 experiments have failed for an hour",
      detail:
        "The first failure was at 2026-11-03 00:00 UTC. " +
        "The rows are not valid counts. Check that EVENTS_TABLE is the events table.",
    });
  });

  it("refers to the log if another version has stored the kind", () => {
    expect(alertOf("of_tomorrow").data.detail).toBe(
      "The first failure was at 2026-11-03 00:00 UTC. The log states the cause.",
    );
  });

  it("conforms to the documented schema", () => {
    strict(alertSchemas["RefreshFailing"]).parse(alertOf("bad_rows"));
  });
});

describe("failingResolved", () => {
  const resolved = () => JSON.parse(failingResolved(times.computedAt).body);

  it("says that refreshes succeed again", () => {
    expect(resolved().data).toMatchObject({
      title: "Refreshes succeed again",
      detail: "No experiment's refreshes have failed for an hour or longer.",
    });
  });

  it("conforms to the documented schema", () => {
    strict(alertSchemas["Resolved"]).parse(resolved());
  });
});

describe("testAlert", () => {
  it("conforms to the documented schema", () => {
    strict(alertSchemas["TestAlert"]).parse(JSON.parse(testAlert("ADMIN_TOKEN", 0).body));
  });
});
