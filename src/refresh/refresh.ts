import { alertOf } from "../alerts/alert.ts";
import { type Alerts, askForDelivery } from "../alerts/alerter.ts";
import { type Definition, statusAt } from "../experiment.ts";
import { bucketsOf, type Window } from "../exposures/buckets.ts";
import { checkHealth, type Health } from "../exposures/health.ts";
import { type CountedExposures, serialise, summarise } from "../exposures/summary.ts";
import { watchHealth } from "../exposures/watch.ts";
import type { Log } from "../log.ts";
import { failed, ok, type Result } from "../result.ts";
import type { StatesSettings } from "../settings.ts";
import type { Database } from "../store/database.ts";
import { getRefreshBasis, type RefreshBasis, saveFailure, saveSummary } from "../store/summaries.ts";
import type { Warehouse } from "../warehouse/client.ts";
import { countExposures } from "../warehouse/exposures.ts";
import { adviceFor, isTransient, type WarehouseFailure } from "../warehouse/failure.ts";
import type { RefreshOutcome } from "./outcome.ts";
import { countFromStates, keepWindow } from "./states.ts";

export type RefreshDeps = {
  database: Database;
  warehouse: Warehouse;
  settleMs: number;
  /** How long the warehouse keeps events; 0: for good. */
  eventsTtlDays: number;
  /** Where identities are counted: from states if there are any, else from the events. */
  states: StatesSettings | null;
  /** Who delivers alerts; null: there is nowhere to deliver them to. */
  alerts: Alerts | null;
  clock: () => number;
  log: Log;
};

/** D1 keeps at most 2,000,000 bytes a row; the rest of the row gets the difference. */
const MOST_BYTES = 1_900_000;
/** A variant's two numbers in one bucket take at least `"k":0` twice. */
const LEAST_BYTES_A_CELL = 10;

/**
 * Computes an experiment's whole window anew and stores the summary, or marks that it could not.
 * @param now the time of whoever asked: numbers are as of then, of a newer request that they serve too, or of the
 * experiment's end. They never go back behind what is stored.
 * @throws DatabaseUnavailable
 */
export async function refreshExperiment(deps: RefreshDeps, id: string, now: number): Promise<RefreshOutcome> {
  const begunAt = Math.max(now, deps.clock());
  const basis = await getRefreshBasis(deps.database, id);
  if (basis === null) return { status: "skipped", reason: "not_found" };
  if (basis.isFinal) return { status: "skipped", reason: "final" };
  const { experiment } = basis;
  const { startedAt, endedAt } = experiment;
  // A sweep may come late: who has asked since it was due is only served by numbers as of their asking.
  const askedFor = Math.max(now, Math.min(basis.refreshRequestedAt ?? now, begunAt));
  if (startedAt === null || statusAt(experiment, askedFor) === "draft")
    return { status: "skipped", reason: "not_started" };

  const asOf = Math.min(Math.max(askedFor, basis.asOf ?? askedFor), endedAt ?? Number.POSITIVE_INFINITY);
  // Late events count until the settling time is over, so the question must have been put after it.
  const isFinal = endedAt !== null && asOf >= endedAt && begunAt >= endedAt + deps.settleMs;

  const { environmentKey, featureName } = experiment;
  const started = { experimentId: id, environmentKey, featureName, startedAt };
  const question = { environmentKey, featureName, window: { from: startedAt, to: asOf } };
  // The last numbers come from the events themselves: they stay, and states are worth no more than their views.
  const states = isFinal || deps.states === null ? null : { ...deps, ...deps.states };
  const known = states === null ? null : await countFromStates(states, started, question);
  const counted = known === null ? await countExposures(deps.warehouse, question) : ok(known);
  const computed = counted.ok ? compute(counted.value, question.window, experiment, deps.eventsTtlDays) : counted;
  const computedAt = Math.max(begunAt, deps.clock());
  if (!computed.ok) return fail(deps, basis, computed.failure, computedAt);

  const { exposures, health } = computed.value;
  const { watch, onsets } = watchHealth(basis.watch, health);
  const alerts = deps.alerts === null ? [] : onsets.map((onset) => alertOf(experiment, onset, asOf, computedAt));
  const summary = { asOf, computedAt, isFinal, exposures, watch, alerts };
  const saved = await saveSummary(deps.database, basis, summary);
  if (!saved) return { status: "skipped", reason: "superseded" };
  deps.log("info", "refresh.succeeded", {
    experiment_id: id,
    duration_ms: computedAt - begunAt,
    is_final: isFinal,
    source: known === null ? "events" : "states",
  });
  for (const { check, status } of onsets)
    deps.log("info", "health.changed", { experiment_id: id, check: check.name, status, detail: check.detail });
  if (alerts.length > 0) await askForDelivery(deps.alerts, deps.log);
  if (states !== null && known === null) await keepWindow(states, started);
  return { status: "refreshed" };
}

/** What is stored of counts, and how far they can be trusted. */
function compute(
  { counts, collection }: CountedExposures,
  window: Window,
  { variants, endedAt }: Definition,
  eventsTtlDays: number,
): Result<{ exposures: string; health: Health }, WarehouseFailure> {
  const configured = variants.map(({ key }) => key);
  // What can't fit is not even computed: it would take hundreds of megabytes to find out.
  const keys = new Set(configured);
  for (const count of counts) if (!count.multiple) keys.add(count.variant);
  if (keys.size * bucketsOf(window).count * LEAST_BYTES_A_CELL > MOST_BYTES) return failed({ kind: "too_large" });

  const summary = summarise(counts, window, configured);
  const isRunning = endedAt === null || window.to < endedAt;
  const health = checkHealth({ window, isRunning, variants, summary, collection, eventsTtlDays });
  const exposures = serialise(summary, health);
  const tooLarge = new TextEncoder().encode(exposures).byteLength > MOST_BYTES;
  return tooLarge ? failed({ kind: "too_large" }) : ok({ exposures, health });
}

async function fail(
  deps: RefreshDeps,
  basis: RefreshBasis,
  failure: WarehouseFailure,
  failedAt: number,
): Promise<RefreshOutcome> {
  const transient = isTransient(failure.kind);
  deps.log(transient ? "warn" : "error", "refresh.failed", {
    experiment_id: basis.experiment.id,
    ...failure,
    transient,
    advice: adviceFor(failure),
  });
  await saveFailure(deps.database, basis, failedAt);
  return { status: "failed", kind: failure.kind, transient };
}
