import type { Caller } from "../http/caller.ts";
import type { AppDeps } from "../http/deps.ts";
import { failed, ok, type Result } from "../result.ts";
import { findOpenExperiments } from "../store/open-experiments.ts";
import { adviceFor } from "../warehouse/advice.ts";
import { checkSource } from "../warehouse/check-warehouse.ts";
import { withTimeout } from "../with-timeout.ts";
import type { OfferedFeature } from "./found-section.ts";

/** The warehouse as a page shows it. A failure is advice to the operator. Null: ClickHouse has not answered in time. */
export type WarehouseView = {
  check: Result<null, string> | null;
  found: Result<{ features: OfferedFeature[]; isTruncated: boolean }, string> | null;
};

/** Finds the features that the caller may create experiments of. A page shows without them after `limitMs`. */
export async function offeredFeatures(
  { database, discovery, clock }: AppDeps,
  { environmentKey }: Caller,
  limitMs: number,
): Promise<WarehouseView["found"]> {
  const found = await waitFor(discovery.features(environmentKey), limitMs);
  if (found === null) return null;
  if (!found.ok) return failed(adviceFor(found.failure));
  const { features, isTruncated } = found.value;
  const open = await findOpenExperiments(database, features, clock());
  const offered = features.map((feature, index) => ({ ...feature, experimentId: open[index] ?? null }));
  return ok({ features: offered, isTruncated });
}

/** Checks the warehouse and finds its features. */
export async function viewWarehouse(deps: AppDeps, caller: Caller, limitMs: number): Promise<WarehouseView> {
  const { warehouse, settings, clock } = deps;
  // Longer than the page waits, so that a slow answer is not reported as a failed check.
  const limited = warehouse.withSharedDeadline(clock, limitMs + 1000);
  const [check, found] = await Promise.all([
    waitFor(checkSource(limited, settings.states !== null), limitMs),
    offeredFeatures(deps, caller, limitMs),
  ]);
  return { check, found };
}

/** Waits for a value for a limited time; null: it takes longer. */
export function waitFor<Value>(promise: Promise<Value>, limitMs: number): Promise<Value | null> {
  return withTimeout(promise, limitMs, () => null);
}
