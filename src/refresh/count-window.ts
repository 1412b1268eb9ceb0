import type { Metric, StartedExperiment } from "../experiment.ts";
import type { Window } from "../exposures/buckets.ts";
import { type CountedExposures, identitiesByVariant, identitiesIn } from "../exposures/summary.ts";
import type { Log } from "../log.ts";
import { ok, type Result } from "../result.ts";
import type { MetricCounts } from "../results/metric-counts.ts";
import { countsText } from "../results/stored-counts.ts";
import type { StatesSettings } from "../settings.ts";
import { adviceFor } from "../warehouse/advice.ts";
import type { Warehouse } from "../warehouse/client.ts";
import { countExposures } from "../warehouse/count-exposures.ts";
import { countMetrics } from "../warehouse/count-metrics.ts";
import { isTransient, type WarehouseFailure } from "../warehouse/failure.ts";
import type { CountedMetrics } from "../warehouse/metric-rows.ts";
import { countFromStates } from "./state-maintenance.ts";

export type CountDeps = { warehouse: Warehouse; states: StatesSettings | null; clock: () => number; log: Log };

export type CountTarget = {
  experiment: StartedExperiment;
  metrics: readonly Metric[];
  window: Window;
  /** True once the end and the time for late events have passed. */
  isSettled: boolean;
  /** True if the warehouse may have deleted events of the window. */
  isExpiring: boolean;
};

/** The counts behind the results, also as JSON text; null: the stored ones stay, or there are no metrics. */
export type CountedResults = { metrics: readonly MetricCounts[]; counted: string } | "failed" | null;

/** The exposures, their source, and what becomes of the results. */
export type Counted = { counted: CountedExposures; source: "events" | "states"; results: CountedResults };

type CountEvents = (warehouse: Warehouse) => Promise<Result<CountedExposures, WarehouseFailure>>;

/**
 * Counts the exposures of a window, and the metrics if there are any. One query of the events counts both. If it fails,
 * which is logged, the exposures are counted without it.
 * @param unlimited the warehouse before `deps.warehouse` got its shared deadline, for a second deadline after a failure
 */
export async function countWindow(
  deps: CountDeps,
  unlimited: Warehouse,
  target: CountTarget,
): Promise<Result<Counted, WarehouseFailure>> {
  const { experiment, metrics, window } = target;
  const query = { ...experiment, window };
  const countAlone: CountEvents = (warehouse) => countExposures(warehouse, query);
  if (metrics.length === 0) return count(deps, target, null, countAlone);

  const found = await countMetrics(deps.warehouse, query, metrics);
  if (!found.ok) {
    logResultsFailure(deps.log, experiment, found.failure);
    return count({ ...deps, warehouse: unlimited.withSharedDeadline(deps.clock) }, target, "failed", countAlone);
  }
  const counts = countsOf(metrics, found.value);
  const text = countsText(counts);
  if (text === null) logResultsFailure(deps.log, experiment, { kind: "too_large" });
  const results = text === null ? "failed" : { metrics: counts, counted: text };
  const exposures = await count(deps, target, results, async () => ok(found.value.exposures));
  if (!exposures.ok || !target.isExpiring) return exposures;
  // States outlive the events that results need. Results that cover other identities than the exposures do not replace the
  // stored ones.
  const isSame = haveSameIdentities(found.value.exposures, exposures.value.counted);
  return isSame ? exposures : ok({ ...exposures.value, results: null });
}

function haveSameIdentities(a: CountedExposures, b: CountedExposures): boolean {
  const [ofA, ofB] = [identitiesByVariant(a), identitiesByVariant(b)];
  return ofA.size === ofB.size && [...ofA].every(([variant, identities]) => ofB.get(variant) === identities);
}

/** The counts of each metric, in the order of the metrics. */
function countsOf(metrics: readonly Metric[], { metrics: counted }: CountedMetrics): MetricCounts[] {
  return counted.flatMap(({ invalidValues, moments }, index) => {
    const metric = metrics[index];
    return metric === undefined ? [] : [{ metric, invalidValues, variants: moments }];
  });
}

function logResultsFailure(log: Log, { experimentId }: StartedExperiment, failure: WarehouseFailure): void {
  log(isTransient(failure.kind) ? "warn" : "error", "results.failed", {
    experiment_id: experimentId,
    ...failure,
    transient: isTransient(failure.kind),
    advice: adviceFor(failure),
  });
}

/**
 * Counts from states where there are any, else from the events. Final numbers come from the events, because states depend
 * on their materialized views. Once events have expired, they come from the states, unless the events have more identities.
 */
async function count(
  deps: CountDeps,
  { experiment, window, isSettled, isExpiring }: CountTarget,
  results: CountedResults,
  countEvents: CountEvents,
): Promise<Result<Counted, WarehouseFailure>> {
  const states = deps.states === null || (isSettled && !isExpiring) ? null : { ...deps, ...deps.states };
  const fromStates = states === null ? null : await countFromStates(states, experiment, { ...experiment, window });
  if (fromStates !== null && !isSettled) return ok({ counted: fromStates, source: "states", results });
  const fromEvents = await countEvents(deps.warehouse);
  if (!fromEvents.ok) return fromEvents;
  return fromStates !== null && identitiesIn(fromStates) >= identitiesIn(fromEvents.value)
    ? ok({ counted: fromStates, source: "states", results })
    : ok({ counted: fromEvents.value, source: "events", results });
}
