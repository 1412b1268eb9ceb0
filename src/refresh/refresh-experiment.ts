import { type AlertDelivery, requestDelivery } from "../alerts/alerter.ts";
import { healthAlert } from "../alerts/health-alert.ts";
import { statusAt } from "../experiment.ts";
import { computeExposures } from "../exposures/compute-exposures.ts";
import { trackHealth } from "../exposures/health-history.ts";
import type { Log } from "../log.ts";
import { ok } from "../result.ts";
import type { StatesSettings } from "../settings.ts";
import type { Database } from "../store/database.ts";
import { getRefreshBasis, type RefreshBasis, saveFailure, saveSummary } from "../store/refresh-results.ts";
import { adviceFor } from "../warehouse/advice.ts";
import { forExperiment, type Warehouse } from "../warehouse/client.ts";
import { countExposures } from "../warehouse/count-exposures.ts";
import { isTransient, type WarehouseFailure } from "../warehouse/failure.ts";
import { advanceWindow } from "./advance-window.ts";
import type { RefreshOutcome } from "./coordinator-types.ts";
import { countFromStates } from "./state-maintenance.ts";

export type RefreshDeps = {
  database: Database;
  warehouse: Warehouse;
  settleMs: number;
  /** Days until the warehouse deletes an event; 0: never. */
  eventsTtlDays: number;
  /** Counts identities from states where there are any; null: always from the events. */
  states: StatesSettings | null;
  /** Delivers alerts; null: there is no receiver. */
  alerts: AlertDelivery | null;
  clock: () => number;
  log: Log;
};

/**
 * Recomputes an experiment's whole window and stores the summary, or the time of the failure.
 * @param now the time of the request. The numbers are as of this time, of a newer request that they serve as well, or of
 * the experiment's end. They are never older than the stored ones.
 * @throws DatabaseUnavailable
 */
export async function refreshExperiment(deps: RefreshDeps, id: string, now: number): Promise<RefreshOutcome> {
  const begunAt = Math.max(now, deps.clock());
  const basis = await getRefreshBasis(deps.database, id);
  if (basis === null) return { status: "skipped", reason: "not_found" };
  if (basis.isFinal) return { status: "skipped", reason: "final" };
  const { experiment } = basis;
  const { environmentKey, featureName, startedAt, endedAt } = experiment;
  // A sweep may run late. A request made after its due time needs numbers as of that request.
  const requestedAt = Math.max(now, Math.min(basis.refreshRequestedAt ?? now, begunAt));
  if (startedAt === null || statusAt(experiment, requestedAt) === "draft")
    return { status: "skipped", reason: "not_started" };

  const asOf = Math.min(Math.max(requestedAt, basis.asOf ?? requestedAt), endedAt ?? Number.POSITIVE_INFINITY);
  // Late events count until the settling time is over, so the query must start after it.
  const isFinal = endedAt !== null && asOf >= endedAt && begunAt >= endedAt + deps.settleMs;

  const started = { experimentId: id, environmentKey, featureName, startedAt };
  const warehouse = forExperiment(deps.warehouse, id);
  const query = { environmentKey, featureName, window: { from: startedAt, to: asOf } };
  // Final numbers are never recomputed, so they come from the events: states depend on their materialized views.
  const states = isFinal || deps.states === null ? null : { ...deps, ...deps.states, warehouse };
  const fromStates = states === null ? null : await countFromStates(states, started, query);
  const counted = fromStates === null ? await countExposures(warehouse, query) : ok(fromStates);
  if (!counted.ok) return recordFailure(deps, basis, counted.failure, begunAt);
  const computed = computeExposures(counted.value, query.window, experiment, deps.eventsTtlDays);
  if (!computed.ok) return recordFailure(deps, basis, { kind: computed.failure }, begunAt);

  const computedAt = Math.max(begunAt, deps.clock());
  const { exposures, health } = computed.value;
  const { history: healthHistory, transitions } = trackHealth(basis.healthHistory, health);
  const alerts =
    deps.alerts === null ? [] : transitions.map((transition) => healthAlert(experiment, transition, asOf, computedAt));
  const summary = { asOf, computedAt, isFinal, exposures, healthHistory, alerts };
  if (!(await saveSummary(deps.database, basis, summary))) return { status: "skipped", reason: "superseded" };

  deps.log("info", "refresh.succeeded", {
    experiment_id: id,
    duration_ms: computedAt - begunAt,
    is_final: isFinal,
    source: fromStates === null ? "events" : "states",
  });
  for (const { check, status } of transitions)
    deps.log("info", "health.changed", { experiment_id: id, check: check.name, status, detail: check.detail });
  if (alerts.length > 0) await requestDelivery(deps.alerts, deps.log);
  if (states !== null && fromStates === null) await advanceWindow(states, started);
  return { status: "refreshed" };
}

async function recordFailure(
  deps: RefreshDeps,
  basis: RefreshBasis,
  failure: WarehouseFailure,
  begunAt: number,
): Promise<RefreshOutcome> {
  const transient = isTransient(failure.kind);
  deps.log(transient ? "warn" : "error", "refresh.failed", {
    experiment_id: basis.experiment.id,
    ...failure,
    transient,
    advice: adviceFor(failure),
  });
  await saveFailure(deps.database, basis, Math.max(begunAt, deps.clock()));
  return { status: "failed", kind: failure.kind, transient };
}
