import type { Metric } from "../experiment.ts";
import type { Comparison } from "./compare.ts";
import { isCountedAs, type MetricResult, type Results } from "./compute-results.ts";
import { metricJson, readMetric } from "./metric-json.ts";
import { parseList } from "./stored-counts.ts";
import type { Verdict } from "./verdict.ts";

/** The verdicts that are alerted. */
export const decisions = ["winning", "losing", "harmed"] as const satisfies readonly Verdict[];
export type Decision = (typeof decisions)[number];

/** The decision about a treatment at the last refresh, and that of its open alert; null: there is none. */
type Tracked = { last: Decision | null; alerted: Decision | null };

/**
 * The state that decides whether a comparison is alerted, by metric and treatment. A treatment without a decision and
 * without an open alert has no entry.
 */
export type ResultHistory = {
  control: string | null;
  metrics: readonly { metric: Metric; variants: ReadonlyMap<string, Tracked> }[];
};

export const NO_RESULT_HISTORY: ResultHistory = { control: null, metrics: [] };

/** The history as JSON text. Variants are a list, because an object would lose `__proto__`. */
export function resultHistoryText({ control, metrics }: ResultHistory): string {
  return JSON.stringify({
    control,
    metrics: metrics.map(({ metric, variants }) => ({
      metric: metricJson(metric),
      variants: [...variants].map(([key, tracked]) => ({ key, ...tracked })),
    })),
  });
}

/** Parses a stored history. A malformed one is empty, because a history from another version must not fail a refresh. */
export function parseResultHistory(json: string): ResultHistory {
  const { control, metrics } = Object(JSON.parse(json));
  try {
    return {
      control: typeof control === "string" ? control : null,
      metrics: parseList(metrics).map(({ metric, variants }) => ({
        metric: readMetric(metric),
        variants: new Map(
          parseList(variants).map(({ key, last, alerted }) => {
            return [String(key), { last: decisionOf(last), alerted: decisionOf(alerted) }];
          }),
        ),
      })),
    };
  } catch {
    return NO_RESULT_HISTORY;
  }
}

const decisionOf = (verdict: unknown): Decision | null => decisions.find((each) => each === verdict) ?? null;

/** A treatment about which a decision is to be alerted, or whose alert is over. */
export type ResultTransition = {
  metric: Metric;
  variant: string;
  /** The decision of the alert. */
  decision: Decision;
  isResolved: boolean;
  /** Null: the treatment is no longer compared as it was. */
  comparison: Comparison | null;
};

/** Only the first treatments of a metric are tracked, so that the alerts of a refresh fit into one transaction. */
export const MAX_TREATMENTS = 20;

const UNTRACKED: Tracked = { last: null, alerted: null };

/**
 * Updates the history after a refresh that computed results, and returns the transitions to alert. A decision is alerted
 * once two refreshes in a row have come to it. Its alert is over once two refreshes in a row have not, or at once if the
 * metric, its treatment or the control has changed. The opposite decision replaces the alert.
 * @param results null without metrics
 */
export function trackResults(
  before: ResultHistory,
  results: Results | null,
): { history: ResultHistory; transitions: ResultTransition[] } {
  const { control, metrics } = results ?? { control: null, metrics: [] };
  const transitions: ResultTransition[] = [];
  const compared = new Set<Tracked>();

  function track({ metric, comparisons }: MetricResult) {
    const known = before.control === control ? before.metrics.find((each) => isSame(each.metric, metric)) : undefined;
    const variants = new Map<string, Tracked>();
    for (const [variant, comparison] of [...comparisons].slice(0, MAX_TREATMENTS)) {
      const tracked = known?.variants.get(variant) ?? UNTRACKED;
      compared.add(tracked);
      const { last, alerted } = tracked;
      const now = decisionOf(comparison.verdict);
      const isTurned = now !== null && now === last && now !== alerted;
      const isOver = !isTurned && alerted !== null && last !== alerted && now !== alerted;
      if (isTurned) transitions.push({ metric, variant, decision: now, isResolved: false, comparison });
      if (isOver) transitions.push({ metric, variant, decision: alerted, isResolved: true, comparison });
      const next = { last: now, alerted: isTurned ? now : isOver ? null : alerted };
      if (next.last !== null || next.alerted !== null) variants.set(variant, next);
    }
    return { metric, variants };
  }

  const tracked = metrics.map(track).filter(({ variants }) => variants.size > 0);
  for (const { metric, variants } of before.metrics)
    for (const [variant, entry] of variants)
      if (entry.alerted !== null && !compared.has(entry))
        transitions.push({ metric, variant, decision: entry.alerted, isResolved: true, comparison: null });
  return { history: tracked.length === 0 ? NO_RESULT_HISTORY : { control, metrics: tracked }, transitions };
}

/** Returns whether two metrics have the same verdicts. */
function isSame(a: Metric, b: Metric): boolean {
  return a.key === b.key && a.expectedDirection === b.expectedDirection && isCountedAs(a, b);
}
