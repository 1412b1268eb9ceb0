import type { Conclusion, ConclusionKind, DecidedComparison } from "./conclusion.ts";
import { formatInterval, formatLift } from "./format-results.ts";
import { isLowerBetter, type Verdict } from "./verdict.ts";

const TITLES: Record<ConclusionKind, string> = {
  harmed: "A guardrail is harmed",
  mixed: "Some comparisons win and others lose",
  lost: "Losing",
  won: "Winning",
  unharmed: "No harm shown",
  open: "No difference shown yet",
  collecting: "Collecting data",
  incomparable: "No lift can be computed",
  none: "Nothing to compare",
};

const GENERAL: Partial<Record<ConclusionKind, string>> = {
  unharmed: "At least one guardrail has improved, and no goal is decided.",
  open: "Chance alone can explain every difference so far.",
  collecting: "There are too few identities or conversions for a reliable verdict.",
  incomparable: "A lift needs a control whose mean is above 0, and values that vary.",
  none: "Configure the variants, so that there is a control and something to compare it with.",
};

/** More would hide what matters. The table has all of them. */
const MAX_SENTENCES = 5;

export type ConclusionText = {
  /** Comes before everything else; null if the results are credible. */
  warning: string | null;
  title: string;
  sentences: readonly string[];
};

/**
 * Describes a conclusion in words.
 * @param safe makes a name, which any client may have chosen, safe to show
 */
export function describeConclusion(
  { kind, isTrusted, decided }: Conclusion,
  safe: (name: string) => string,
): ConclusionText {
  const more = decided.length - MAX_SENTENCES;
  const general = GENERAL[kind];
  return {
    warning: isTrusted ? null : "Do not believe these results. The health is unhealthy: fix its cause first.",
    title: TITLES[kind],
    sentences: [
      ...decided.slice(0, MAX_SENTENCES).map((comparison) => describeDecided(comparison, safe)),
      ...(more > 0 ? [`${more} more ${more === 1 ? "comparison is" : "comparisons are"} decided.`] : []),
      ...(general === undefined ? [] : [general]),
    ],
  };
}

/** A verdict on a guardrail is about the guardrail, while a sentence is about the variant. */
export function wordFor(verdict: Verdict): string {
  if (verdict === "harmed") return "harmful";
  return verdict === "unharmed" ? "harmless so far" : verdict;
}

/** One sentence about a decided comparison. */
export function describeDecided(
  { metric, variant, comparison }: DecidedComparison,
  safe: (name: string) => string,
): string {
  const { lift, interval, verdict } = comparison;
  const finding = `${safe(metric.name)}: ${safe(variant)} is ${wordFor(verdict)}`;
  if (lift === null || interval === null) return `${finding}.`;
  const hint = isLowerBetter(metric.expectedDirection) ? ", and less is better" : "";
  return `${finding}, with a lift of ${formatLift(lift)} (${formatInterval(interval)}${hint}).`;
}
