import { type AlertDelivery, requestDelivery } from "../alerts/alerter.ts";
import { statusAt } from "../experiment.ts";
import { computeExposures, serialiseWithin } from "../exposures/compute-exposures.ts";
import { hasExpired } from "../exposures/expiry.ts";
import { isIdle } from "../exposures/idle.ts";
import { identitiesByVariant, identitiesIn } from "../exposures/summary.ts";
import type { StatesSettings } from "../settings.ts";
import { beginRefresh, endRebuild, endRefresh } from "../store/refresh-basis.ts";
import { saveSummary } from "../store/refresh-results.ts";
import { forExperiment } from "../warehouse/client.ts";
import { addCauses, type CauseDeps } from "./add-causes.ts";
import { advanceWindow } from "./advance-window.ts";
import { countWindow } from "./count-window.ts";
import { isIncomplete, keepNumbers, recordFailure } from "./keep-numbers.ts";
import type { RefreshOutcome } from "./refresh-outcome.ts";
import { type RetryDeps, refreshOrRetry } from "./retries.ts";
import { replaceWindow } from "./state-maintenance.ts";
import { trackChanges } from "./track-changes.ts";

export type RefreshDeps = RetryDeps &
  CauseDeps & {
    settleMs: number;
    /** Days until the warehouse deletes an event; 0: never. */
    eventsTtlDays: number;
    /** Counts identities from states where there are any; null: always from the events. */
    states: StatesSettings | null;
    /** Delivers alerts; null: there is no receiver. */
    alerts: AlertDelivery | null;
  };

/** Refreshes an experiment, and never throws. The count has one deadline for all its queries, and so has its state's fill. */
export function refreshExperiment(deps: RefreshDeps, id: string, now: number): Promise<RefreshOutcome> {
  return refreshOrRetry(deps, id, async () => {
    const outcome = await recompute({ ...deps, warehouse: forExperiment(deps.warehouse, id) }, id, now);
    if (outcome.status === "skipped") await endRefresh(deps.database, id);
    return outcome;
  });
}

/**
 * Recomputes an experiment's whole window and stores the summary, or the time of the failure. Final numbers are recounted
 * on request only.
 * @param now the as-of time of the numbers. If a request is pending, they are as of the refresh itself. They end at the
 * experiment's end, and are never older than the stored ones.
 * @throws DatabaseUnavailable
 */
async function recompute(deps: RefreshDeps, id: string, now: number): Promise<RefreshOutcome> {
  const basis = await beginRefresh(deps.database, id);
  if (basis === null) return { status: "skipped", reason: "not_found" };
  if (basis.isFinal && !basis.isRequested) return { status: "skipped", reason: "final" };
  const { experiment } = basis;
  const { environmentKey, featureName, startedAt, endedAt } = experiment;
  const begunAt = Math.max(now, deps.clock());
  // A sweep may run late, and a request may be newer than its row says: webhooks do not rewrite a pending one.
  const requestedAt = basis.isRequested ? begunAt : now;
  if (startedAt === null || statusAt(experiment, requestedAt) === "draft")
    return { status: "skipped", reason: "not_started" };

  const asOf = Math.min(Math.max(requestedAt, basis.asOf ?? requestedAt), endedAt ?? Number.POSITIVE_INFINITY);
  // Late events count until the settling time is over, so the query must start after it.
  const isSettled = endedAt !== null && asOf >= endedAt && begunAt >= endedAt + deps.settleMs;

  const started = { experimentId: id, environmentKey, featureName, startedAt };
  const window = { from: startedAt, to: asOf };
  const counting = { ...deps, warehouse: deps.warehouse.withSharedDeadline(deps.clock) };
  if (
    basis.isRebuildRequested &&
    deps.states !== null &&
    (await replaceWindow({ ...counting, ...deps.states }, started))
  )
    await endRebuild(deps.database, id);
  const isExpiring = hasExpired(startedAt, begunAt, deps.eventsTtlDays);
  const target = { experiment: started, metrics: experiment.metrics, window, isSettled, isExpiring };
  const count = await countWindow(counting, deps.warehouse, target);
  if (!count.ok) return recordFailure(deps, basis, count.failure, begunAt);
  const { counted, source, results } = count.value;
  // Without its results, an experiment is refreshed again. Final exposures stay final.
  const isFinal = isSettled && (results !== "failed" || basis.isFinal);
  const identities = identitiesIn(counted);
  const excluded = identitiesByVariant(counted).get(null) ?? 0;
  if (await isIncomplete(deps, basis, { identities, excluded, isExpiring }))
    return keepNumbers(deps, basis, { identities, excluded, source, isFinal: isSettled, isExpiring }, begunAt);
  const computed = computeExposures(counted, window, experiment, begunAt, deps.eventsTtlDays);
  if (!computed.ok) return recordFailure(deps, basis, { kind: computed.failure }, begunAt);
  const { summary, health: found } = computed.value;
  const explained = await addCauses(deps, started, experiment, window, found);
  const text = serialiseWithin(summary, [explained, found]);
  if (!text.ok) return recordFailure(deps, basis, { kind: text.failure }, begunAt);

  const computedAt = Math.max(begunAt, deps.clock());
  const { exposures, health } = text.value;
  const { histories, changes } = trackChanges(basis, health, results, { asOf, computedAt });
  const alerts = deps.alerts === null ? [] : changes.map(({ alert }) => alert);
  const stored = { asOf, computedAt, isFinal, identities, exposures, ...histories, alerts, results };
  const outcome = { ...stored, isIdle: isIdle(window, counted.collection.latestExposureAt) };
  if (!(await saveSummary(deps.database, basis, outcome))) return { status: "skipped", reason: "superseded" };

  deps.log("info", "refresh.succeeded", {
    experiment_id: id,
    duration_ms: computedAt - begunAt,
    is_final: isFinal,
    source,
    ...(results === null ? {} : { results: results === "failed" ? "failed" : "computed" }),
  });
  for (const { event, fields } of changes) deps.log("info", event, { experiment_id: id, ...fields });
  if (alerts.length > 0) await requestDelivery(deps.alerts, deps.log);
  if (deps.states !== null && !isSettled && source === "events")
    await advanceWindow({ ...deps, ...deps.states, warehouse: deps.warehouse.withSharedDeadline(deps.clock) }, started);
  return { status: "refreshed" };
}
