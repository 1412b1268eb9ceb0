import type { Comparison } from "./compare.ts";
import type { MetricResult, Results } from "./compute-results.ts";
import type { Verdict } from "./verdict.ts";

/**
 * The results as a whole, named by the worst finding: a harmed guardrail outweighs any goal. `unharmed`: a guardrail has
 * improved, and nothing is decided.
 */
export const conclusions = ["harmed", "mixed", "lost", "won", "unharmed", "open", "collecting", "none"] as const;
export type ConclusionKind = (typeof conclusions)[number];

/** A comparison with a verdict to act on. */
export type DecidedComparison = { metric: MetricResult["metric"]; variant: string; comparison: Comparison };

export type Conclusion = {
  kind: ConclusionKind;
  /** False while the health is `unhealthy`. The verdicts are computed, but nobody should act on them. */
  isCredible: boolean;
  /** Harmed guardrails first, then losing goals, then winning ones, each in the order of the definition. */
  decided: readonly DecidedComparison[];
};

const DECIDED = ["harmed", "losing", "winning"] as const satisfies Verdict[];

/**
 * Sums up the verdicts of all comparisons. `none`: there is nothing to compare.
 * @param isCredible whether the health of the exposures allows to believe them
 */
export function conclude({ metrics }: Results, isCredible: boolean): Conclusion {
  const all = metrics.flatMap(({ metric, comparisons }) =>
    [...comparisons].map(([variant, comparison]): DecidedComparison => ({ metric, variant, comparison })),
  );
  const withVerdict = (verdict: Verdict) => all.filter(({ comparison }) => comparison.verdict === verdict);
  return { kind: kindOf(all.map(({ comparison }) => comparison)), isCredible, decided: DECIDED.flatMap(withVerdict) };
}

function kindOf(comparisons: readonly Comparison[]): ConclusionKind {
  const verdicts = new Set(comparisons.map(({ verdict }) => verdict));
  if (verdicts.size === 0) return "none";
  if (verdicts.has("harmed")) return "harmed";
  if (verdicts.has("winning")) return verdicts.has("losing") ? "mixed" : "won";
  if (verdicts.has("losing")) return "lost";
  if (comparisons.some(isImproved)) return "unharmed";
  return verdicts.has("inconclusive") || verdicts.has("unharmed") ? "open" : "collecting";
}

/** True for a guardrail that differs in the good direction. In the bad one it would be `harmed`. */
function isImproved({ verdict, interval }: Comparison): boolean {
  return verdict === "unharmed" && interval !== null && (interval[0] > 0 || interval[1] < 0);
}
