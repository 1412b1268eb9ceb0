import type { Experiment, StartedExperiment } from "../experiment.ts";
import { splitFrom, type Window } from "../exposures/buckets.ts";
import { explainHealth, needsBreakdown } from "../exposures/explain-health.ts";
import type { Health } from "../exposures/health.ts";
import type { Log } from "../log.ts";
import { adviceFor } from "../warehouse/advice.ts";
import { MAX_BREAKDOWN_VARIANTS } from "../warehouse/breakdown-query.ts";
import type { Warehouse } from "../warehouse/client.ts";
import { countBreakdowns } from "../warehouse/count-breakdowns.ts";
import { MAX_BREAKDOWN_MS } from "./sweep-times.ts";

export type CauseDeps = {
  warehouse: Warehouse;
  /** The keys of `traits` to break identities down by. */
  breakdownTraits: readonly string[];
  clock: () => number;
  log: Log;
};

/**
 * Adds causes to the failing checks, with one query and a deadline of its own. If none fails, there is no query. A failed
 * query is logged, and the health stays as it is.
 */
export async function addCauses(
  { warehouse, breakdownTraits: traits, clock, log }: CauseDeps,
  started: StartedExperiment,
  { variants, weightsChangedAt }: Pick<Experiment, "variants" | "weightsChangedAt">,
  window: Window,
  health: Health,
): Promise<Health> {
  if (!needsBreakdown(health) || variants.length > MAX_BREAKDOWN_VARIANTS) return health;
  const query = { ...started, window, variants, traits, splitFrom: splitFrom(window, weightsChangedAt) };
  const found = await countBreakdowns(warehouse.withSharedDeadline(clock, MAX_BREAKDOWN_MS), query);
  if (found.ok) return explainHealth(health, found.value, variants);
  log("warn", "causes.failed", {
    experiment_id: started.experimentId,
    ...found.failure,
    advice: adviceFor(found.failure),
  });
  return health;
}
