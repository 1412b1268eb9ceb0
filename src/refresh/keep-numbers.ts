import type { RefreshBasis } from "../store/refresh-basis.ts";
import { saveFailure } from "../store/refresh-failures.ts";
import { getExcludedIdentities, keepSummary } from "../store/refresh-results.ts";
import { adviceFor } from "../warehouse/advice.ts";
import { isOverload, isTransient, type WarehouseFailure } from "../warehouse/failure.ts";
import type { Counted } from "./count-window.ts";
import type { RefreshOutcome } from "./refresh-outcome.ts";
import { planRetry, type RetryDeps } from "./retries.ts";

// The ends of a refresh that leave the stored numbers in place.

type Incomplete = Pick<Counted, "source"> & {
  identities: number;
  excluded: number;
  isFinal: boolean;
  isExpiring: boolean;
};

/**
 * True if the stored numbers include identities that a count lacks. Once events expire, an excluded identity may have only
 * the exposures to one variant left, and would be counted in that one.
 */
export async function isIncomplete(
  { database }: Pick<RetryDeps, "database">,
  { experiment, identities, isFinal }: RefreshBasis,
  count: Pick<Incomplete, "identities" | "excluded" | "isExpiring">,
): Promise<boolean> {
  if (identities === null || !(count.isExpiring || isFinal)) return false;
  if (count.identities < identities) return true;
  return count.isExpiring && count.excluded < (await getExcludedIdentities(database, experiment.id));
}

/** Keeps the stored numbers, because they include more identities, or more excluded ones, than this count. */
export async function keepNumbers(
  deps: RetryDeps,
  basis: RefreshBasis,
  { isFinal, isExpiring, ...incomplete }: Incomplete,
  begunAt: number,
): Promise<RefreshOutcome> {
  const staysFinal = isFinal || basis.isFinal;
  const failedAt = Math.max(begunAt, deps.clock());
  if (!(await keepSummary(deps.database, basis, failedAt, staysFinal)))
    return { status: "skipped", reason: "superseded" };
  const nextStep = staysFinal ? "" : "End the experiment. ";
  deps.log("warn", "refresh.incomplete", {
    experiment_id: basis.experiment.id,
    ...incomplete,
    stored_identities: basis.identities,
    is_final: staysFinal,
    advice: isExpiring
      ? `The events of the window's start are older than EVENTS_TTL_DAYS, so the previous numbers are kept. ${nextStep}If the warehouse keeps events longer, raise EVENTS_TTL_DAYS.`
      : "The warehouse has fewer identities than the final numbers, which are kept. Check whether its events were deleted.",
  });
  return { status: "skipped", reason: "incomplete" };
}

/** Records a failed refresh, and plans its retry if the failure is transient. */
export async function recordFailure(
  deps: RetryDeps,
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
  const retry = transient ? planRetry(deps, basis.failures) : { failures: 0, retryAt: null };
  const failedAt = Math.max(begunAt, deps.clock());
  await saveFailure(deps.database, basis, {
    failedAt,
    kind: failure.kind,
    ...retry,
    isCharged: isOverload(failure.kind),
  });
  return { status: "failed", kind: failure.kind, retryAt: retry.retryAt };
}
