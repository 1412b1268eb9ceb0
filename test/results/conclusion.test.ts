import { describe, expect, it } from "vitest";
import type { ExpectedDirection, Metric } from "../../src/experiment.ts";
import type { Comparison } from "../../src/results/compare.ts";
import { computeResults, type Results } from "../../src/results/compute-results.ts";
import { conclude } from "../../src/results/conclusion.ts";
import { describeConclusion, describeDecided } from "../../src/results/describe-conclusion.ts";
import type { Moments } from "../../src/results/moments.ts";
import type { Verdict } from "../../src/results/verdict.ts";
import { metricOf } from "../support/drawn-results.ts";
import { fromConversions } from "../support/moments.ts";

const comparison = (verdict: Verdict): Comparison => ({
  lift: 0.112,
  interval: isOpen(verdict) ? [-0.051, 0.274] : [0.051, 0.174],
  pValue: 0.001,
  credibleInterval: null,
  chanceToWin: null,
  varianceReduction: null,
  verdict,
});

const isOpen = (verdict: Verdict) => verdict === "inconclusive" || verdict === "unharmed";

/** Results with one metric for each list of verdicts, which belong to the treatments `a`, `b` and so on. */
function resultsOf(...metrics: Verdict[][]): Results {
  return {
    control: "control",
    metrics: metrics.map((verdicts, index) => {
      const isGuardrail = verdicts.some((verdict) => verdict === "harmed" || verdict === "unharmed");
      const expectedDirection: ExpectedDirection = isGuardrail ? "not_increase" : "increase";
      const metric: Metric = {
        key: `m${index}`,
        name: `Metric ${index}`,
        event: "e",
        aggregation: "count",
        expectedDirection,
        conversionWindowHours: null,
        lookbackDays: 0,
      };
      const comparisons = new Map(verdicts.map((verdict, index) => ["abc"[index] ?? "", comparison(verdict)]));
      return { metric, invalidValues: 0, variants: new Map(), comparisons };
    }),
  };
}

/** The results of one metric, computed from these arms. */
function computed(arms: Record<string, Moments>, fields: Partial<Metric>): Results {
  const metric = metricOf({ aggregation: "occurrence", ...fields });
  const counted = [{ metric, invalidValues: 0, variants: new Map(Object.entries(arms)) }];
  const variants = Object.keys(arms).map((key) => ({ key, weight: 1 }));
  const results = computeResults(counted, { variants, metrics: [metric] });
  if (results === null) throw new Error("There are no results.");
  return results;
}

const textOf = (results: Results) => describeConclusion(conclude(results, true), (name) => name);

describe("conclude", () => {
  const cases: { verdicts: Verdict[][]; kind: string }[] = [
    { verdicts: [["winning"], ["unharmed"]], kind: "won" },
    { verdicts: [["winning", "inconclusive"], ["collecting"]], kind: "won" },
    { verdicts: [["losing", "inconclusive"]], kind: "lost" },
    { verdicts: [["winning", "losing"]], kind: "mixed" },
    { verdicts: [["winning"], ["losing"]], kind: "mixed" },
    { verdicts: [["winning"], ["losing"], ["harmed", "unharmed"]], kind: "harmed" },
    { verdicts: [["inconclusive"], ["collecting"]], kind: "open" },
    { verdicts: [["unharmed"]], kind: "open" },
    { verdicts: [["collecting", "collecting"]], kind: "collecting" },
    { verdicts: [[]], kind: "none" },
  ];
  it.each(cases)("finds $kind in $verdicts", ({ verdicts, kind }) => {
    expect(conclude(resultsOf(...verdicts), true).kind).toBe(kind);
  });

  /** A guardrail with two treatments, of which the first has this verdict and this interval. */
  const guardrailWith = (verdict: Verdict, interval: Comparison["interval"]): Results => {
    const { control, metrics } = resultsOf(["unharmed", "unharmed"]);
    const change = (metric: (typeof metrics)[number]) => ({
      ...metric,
      comparisons: new Map(metric.comparisons).set("a", { ...comparison(verdict), interval }),
    });
    return { control, metrics: [...metrics.map(change), ...resultsOf(["inconclusive"]).metrics] };
  };

  it.each([
    { interval: [0.001, 0.2], kind: "unharmed" },
    { interval: [-0.2, -0.001], kind: "unharmed" },
    { interval: [0, 0.2], kind: "open" },
    { interval: [-0.2, 0], kind: "open" },
    { interval: null, kind: "open" },
  ] as const)("finds $kind if the interval of an unharmed guardrail is $interval", ({ interval, kind }) => {
    expect(conclude(guardrailWith("unharmed", interval), true).kind).toBe(kind);
  });

  it("finds no improvement in an interval of a comparison that is collecting", () => {
    expect(conclude(guardrailWith("collecting", [0.1, 0.2]), true).kind).toBe("open");
  });

  it("lists harmed guardrails first, then losing goals, then winning ones", () => {
    const { decided } = conclude(resultsOf(["winning", "losing"], ["unharmed", "harmed"], ["collecting"]), true);
    const found = decided.map(({ metric, variant, comparison: { verdict } }) => [metric.key, variant, verdict]);
    expect(found).toEqual([
      ["m1", "b", "harmed"],
      ["m0", "b", "losing"],
      ["m0", "a", "winning"],
    ]);
  });
});

describe("describeConclusion", () => {
  it("says first that results of an unhealthy experiment are not to be believed", () => {
    const text = describeConclusion(conclude(resultsOf(["winning"]), false), (name) => name);
    expect(text.warning).toMatch(/^Do not believe these results/);
    expect(textOf(resultsOf(["winning"])).warning).toBeNull();
  });

  it("states who wins, on what, by how much and how surely", () => {
    expect(textOf(resultsOf(["winning"]))).toEqual({
      warning: null,
      title: "Winning",
      sentences: ["Metric 0: a is winning, with a lift of +11.2% (+5.1% to +17.4%)."],
    });
  });

  it("says that less is better where it is", () => {
    expect(textOf(resultsOf(["harmed"])).sentences).toEqual([
      "Metric 0: a is harmful, with a lift of +11.2% (+5.1% to +17.4%, and less is better).",
    ]);
  });

  it.each([
    [[["inconclusive"]], "Chance alone can explain every difference so far."],
    [[["collecting"]], "There are too few identities or conversions for a reliable verdict."],
    [[[]], "Configure the variants, so that there is a control and something to compare it with."],
  ] as [Verdict[][], string][])("explains why nothing is decided in %j", (verdicts, sentence) => {
    expect(textOf(resultsOf(...verdicts)).sentences).toEqual([sentence]);
  });

  it("does not deny the difference of a guardrail that has improved", () => {
    const arms = { control: fromConversions(10_000, 1000), treatment: fromConversions(10_000, 2000) };
    expect(textOf(computed(arms, { expectedDirection: "not_decrease" }))).toEqual({
      warning: null,
      title: "No harm shown",
      sentences: ["At least one guardrail has improved, and no goal is decided."],
    });
  });

  const constant = (identities: number, value: number): Moments => ({
    identities,
    sum: identities * value,
    squaredDeviations: 0,
    covariate: null,
  });
  const varied = (identities: number, mean: number): Moments => ({
    ...constant(identities, mean),
    squaredDeviations: identities,
  });
  const NO_LIFT = {
    warning: null,
    title: "No lift can be computed",
    sentences: ["A lift needs a control whose mean is above 0, and values that vary."],
  };

  it.each([
    ["the control's mean is below 0", { control: varied(100_000, -2), b: varied(100_000, -1) }],
    ["nothing varies", { control: constant(100_000, 3), b: constant(100_000, 3) }],
    ["another treatment has no identities", { control: varied(50, -1), b: constant(0, 0), c: varied(50, 1) }],
  ])("says that no lift can be computed if %s", (_, arms) => {
    expect(textOf(computed(arms, { aggregation: "sum" }))).toEqual(NO_LIFT);
  });

  it.each([
    ["the control has 49 identities", { control: varied(49, -2), b: varied(50, -1) }],
    ["the treatment has 49 identities", { control: varied(50, -2), b: varied(49, -1) }],
    ["the control has no conversions", { control: fromConversions(5000, 0), b: fromConversions(5000, 5) }],
    ["one of two treatments has a lift", { control: constant(50, 1), b: constant(50, 1), c: varied(49, 1) }],
  ])("says that data are collected while %s", (_, arms) => {
    expect(textOf(computed(arms, { aggregation: "sum" })).title).toBe("Collecting data");
  });

  it("says that data are collected while another metric has a lift", () => {
    const { control, metrics } = computed({ control: varied(100, 0), b: varied(100, 1) }, { aggregation: "sum" });
    const other = computed({ control: varied(100, 0.01), b: varied(100, 0.01) }, { aggregation: "sum" });
    expect(textOf({ control, metrics: [...metrics, ...other.metrics] }).title).toBe("Collecting data");
  });

  it.each([
    [["harmed"], "A guardrail is harmed"],
    [["winning", "losing"], "Some comparisons win and others lose"],
    [["losing"], "Losing"],
    [["winning"], "Winning"],
    [["inconclusive"], "No difference shown yet"],
    [["collecting"], "Collecting data"],
    [[], "Nothing to compare"],
  ] as [Verdict[], string][])("sums %j up as %s", (verdicts, title) => {
    expect(textOf(resultsOf(verdicts)).title).toBe(title);
  });

  it("has a sentence for each of five decisions, and no more", () => {
    const { sentences } = textOf(resultsOf(...Array.from({ length: 5 }, (): Verdict[] => ["winning"])));
    expect(sentences).toHaveLength(5);
  });

  it.each([
    [6, "1 more comparison is decided."],
    [8, "3 more comparisons are decided."],
  ])("counts the decisions beyond five, of %i", (length, sentence) => {
    const { sentences } = textOf(resultsOf(...Array.from({ length }, (): Verdict[] => ["winning"])));
    expect(sentences).toHaveLength(6);
    expect(sentences.at(-1)).toBe(sentence);
  });

  it.each([{ lift: null }, { interval: null }])("names a verdict alone if %j", (missing) => {
    const found = resultsOf(["unharmed"]).metrics.map(({ metric }) =>
      describeDecided({ metric, variant: "a", comparison: { ...comparison("unharmed"), ...missing } }, (name) => name),
    );
    expect(found).toEqual(["Metric 0: a is harmless so far."]);
  });

  it("passes each name through the caller's escaping", () => {
    const { sentences } = describeConclusion(conclude(resultsOf(["winning"]), true), (name) => `<${name}>`);
    expect(sentences[0]).toMatch(/^<Metric 0>: <a> is winning/);
  });
});
