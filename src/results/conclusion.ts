import type { Comparison } from "./compare.ts";
import type { MetricResult, Results } from "./compute-results.ts";
import { MIN_IDENTITIES, type Verdict } from "./verdict.ts";

/**
 * The results as a whole, named by the worst finding: a harmed guardrail outweighs any goal. `unharmed`: a guardrail has
 * improved, and nothing is decided. `incomparable`: no lift exists, although arms are large enough for a verdict.
 */
export type ConclusionKind =
  | "harmed"
  | "mixed"
  | "lost"
  | "won"
  | "unharmed"
  | "open"
  | "collecting"
  | "incomparable"
  | "none";

/** A comparison with a verdict to act on. */
export type DecidedComparison = { metric: MetricResult["metric"]; variant: string; comparison: Comparison };

export type Conclusion = {
  kind: ConclusionKind;
  /** False while the health is `unhealthy`. The verdicts are computed, but nobody should act on them. */
  isTrusted: boolean;
  /** Harmed guardrails first, then losing goals, then winning ones, each in the order of the definition. */
  decided: readonly DecidedComparison[];
};

const DECIDED = ["harmed", "losing", "winning"] as const satisfies Verdict[];

/**
 * Sums up the verdicts of all comparisons. `none`: there is nothing to compare.
 * @param isTrusted false while health is unhealthy
 */
export function conclude(results: Results, isTrusted: boolean): Conclusion {
  const all = results.metrics.flatMap(({ metric, comparisons }) =>
    [...comparisons].map(([variant, comparison]): DecidedComparison => ({ metric, variant, comparison })),
  );
  const withVerdict = (verdict: Verdict) => all.filter(({ comparison }) => comparison.verdict === verdict);
  const kind = kindOf(all.map(({ comparison }) => comparison));
  const decided = DECIDED.flatMap(withVerdict);
  return { kind: isIncomparable(results) ? "incomparable" : kind, isTrusted, decided };
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

/**
 * True if there is no lift, although both arms of a comparison have the identities that a verdict needs, and the control has
 * values other than 0: its first conversion may still come.
 */
function isIncomparable({ control, metrics }: Results): boolean {
  return (
    metrics.every(({ comparisons }) => [...comparisons.values()].every(({ lift }) => lift === null)) &&
    metrics.some(({ variants, comparisons }) => {
      const isLarge = (key: string | null) => key !== null && (variants.get(key)?.identities ?? 0) >= MIN_IDENTITIES;
      const hasValues = control !== null && variants.get(control)?.mean !== 0;
      return hasValues && isLarge(control) && [...comparisons.keys()].some(isLarge);
    })
  );
}
