import type { Experiment } from "../experiment.ts";
import { fitsInRow } from "../row-size.ts";
import type { Window } from "./buckets.ts";
import { checkSampleRatio } from "./check-sample-ratio.ts";
import { checkUnknownVariants } from "./checks.ts";
import { worstStatus } from "./health.ts";
import { restoreCounts, restoreHealth } from "./restore.ts";
import { serialise } from "./serialise.ts";
import { summarise } from "./summary.ts";

/**
 * Applies other variants and weights to stored numbers, without a count: the variants in their new order, and the checks
 * that depend on weights. Returns null if the numbers can't be restored, or are too large with these variants.
 * @param json the stored `exposures` object
 */
export function reweightExposures(
  json: string,
  window: Window,
  { variants, weightsChangedAt }: Pick<Experiment, "variants" | "weightsChangedAt">,
): string | null {
  const exposures: unknown = JSON.parse(json);
  const counts = restoreCounts(exposures, window);
  if (counts === null) return null;
  const seen = counts.filter(({ identities }) => identities > 0);
  const configured = variants.map(({ key }) => key);
  const summary = summarise(seen, window, configured);
  const health = restoreHealth(exposures, new Set(summary.variants.keys()));
  if (health === null) return null;
  const evidence = { window, variants, weightsChangedAt, summary };
  const checks = health.checks.map((check) => {
    if (check.name === "sample_ratio") return { ...check, ...checkSampleRatio(evidence) };
    if (check.name === "unknown_variants") return { ...check, ...checkUnknownVariants(evidence) };
    return check;
  });
  const text = serialise(summary, { status: worstStatus(checks), checks });
  return fitsInRow(text) ? text : null;
}
