import { type AlertDelivery, requestDelivery } from "../alerts/alerter.ts";
import { healthAlert } from "../alerts/health-alert.ts";
import { type StartedExperiment, statusAt } from "../experiment.ts";
import type { Window } from "../exposures/buckets.ts";
import { computeExposures } from "../exposures/compute-exposures.ts";
import { hasExpired } from "../exposures/expiry.ts";
import { trackHealth } from "../exposures/health-history.ts";
import { type CountedExposures, identitiesIn } from "../exposures/summary.ts";
import type { Log } from "../log.ts";
import { ok, type Result } from "../result.ts";
import type { StatesSettings } from "../settings.ts";
import type { Database } from "../store/database.ts";
import { getRefreshBasis, keepSummary, type RefreshBasis, saveFailure, saveSummary } from "../store/refresh-results.ts";
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
 * Recomputes an experiment's whole window and stores the summary, or the time of the failure. Final numbers are recounted
 * on request only.
 * @param now the time of the request. The numbers are as of this time, of a newer request that they serve as well, or of
 * the experiment's end. They are never older than the stored ones.
 * @throws DatabaseUnavailable
 */
export async function refreshExperiment(service: RefreshDeps, id: string, now: number): Promise<RefreshOutcome> {
  const deps = { ...service, warehouse: forExperiment(service.warehouse, id) };
  const begunAt = Math.max(now, deps.clock());
  const basis = await getRefreshBasis(deps.database, id);
  if (basis === null) return { status: "skipped", reason: "not_found" };
  if (basis.isFinal && basis.refreshRequestedAt === null) return { status: "skipped", reason: "final" };
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
  const window = { from: startedAt, to: asOf };
  const isExpiring = hasExpired(startedAt, begunAt, deps.eventsTtlDays);
  const found = await count(deps, started, window, isFinal, isExpiring);
  if (!found.ok) return recordFailure(deps, basis, found.failure, begunAt);
  const { counted, source } = found.value;
  const identities = identitiesIn(counted);
  if (basis.identities !== null && identities < basis.identities && (isExpiring || basis.isFinal))
    return keepNumbers(deps, basis, { identities, source, isFinal, isExpiring }, begunAt);
  const computed = computeExposures(counted, window, experiment, begunAt, deps.eventsTtlDays);
  if (!computed.ok) return recordFailure(deps, basis, { kind: computed.failure }, begunAt);

  const computedAt = Math.max(begunAt, deps.clock());
  const { exposures, health } = computed.value;
  const { history: healthHistory, transitions } = trackHealth(basis.healthHistory, health);
  const alerts =
    deps.alerts === null ? [] : transitions.map((transition) => healthAlert(experiment, transition, asOf, computedAt));
  const summary = { asOf, computedAt, isFinal, identities, exposures, healthHistory, alerts };
  if (!(await saveSummary(deps.database, basis, summary))) return { status: "skipped", reason: "superseded" };

  deps.log("info", "refresh.succeeded", {
    experiment_id: id,
    duration_ms: computedAt - begunAt,
    is_final: isFinal,
    source,
  });
  for (const { check, status } of transitions)
    deps.log("info", "health.changed", { experiment_id: id, check: check.name, status, detail: check.detail });
  if (alerts.length > 0) await requestDelivery(deps.alerts, deps.log);
  if (deps.states !== null && !isFinal && source === "events")
    await advanceWindow({ ...deps, ...deps.states }, started);
  return { status: "refreshed" };
}

type Counted = { counted: CountedExposures; source: "events" | "states" };

/**
 * Counts from states where there are any, else from the events. Final numbers come from the events, because states depend
 * on their materialized views. Once events have expired, they come from the source that knows more identities.
 */
async function count(
  deps: RefreshDeps,
  experiment: StartedExperiment,
  window: Window,
  isFinal: boolean,
  isExpiring: boolean,
): Promise<Result<Counted, WarehouseFailure>> {
  const query = { ...experiment, window };
  const states = deps.states === null || (isFinal && !isExpiring) ? null : { ...deps, ...deps.states };
  const fromStates = states === null ? null : await countFromStates(states, experiment, query);
  if (fromStates !== null && !isFinal) return ok({ counted: fromStates, source: "states" });
  const fromEvents = await countExposures(deps.warehouse, query);
  if (!fromEvents.ok) return fromEvents;
  return fromStates !== null && identitiesIn(fromStates) > identitiesIn(fromEvents.value)
    ? ok({ counted: fromStates, source: "states" })
    : ok({ counted: fromEvents.value, source: "events" });
}

type Incomplete = Omit<Counted, "counted"> & { identities: number; isFinal: boolean; isExpiring: boolean };

/** Keeps the stored numbers, because they have more identities than this count. */
async function keepNumbers(
  deps: RefreshDeps,
  basis: RefreshBasis,
  { isFinal, isExpiring, ...incomplete }: Incomplete,
  begunAt: number,
): Promise<RefreshOutcome> {
  const staysFinal = isFinal || basis.isFinal;
  await keepSummary(deps.database, basis, Math.max(begunAt, deps.clock()), staysFinal);
  const nextStep = staysFinal ? "" : "End the experiment. ";
  deps.log("warn", "refresh.incomplete", {
    experiment_id: basis.experiment.id,
    ...incomplete,
    stored_identities: basis.identities,
    is_final: staysFinal,
    advice: isExpiring
      ? `The events of the window's start are older than EVENTS_TTL_DAYS, so the numbers of before are kept. ${nextStep}If the warehouse keeps events longer, raise EVENTS_TTL_DAYS`
      : "The warehouse has fewer identities than the final numbers, which are kept. Check whether its events were deleted",
  });
  return { status: "skipped", reason: "incomplete" };
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
