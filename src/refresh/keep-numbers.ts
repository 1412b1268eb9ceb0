import { keepSummary, type RefreshBasis, saveFailure } from "../store/refresh-results.ts";
import { adviceFor } from "../warehouse/advice.ts";
import { isOverload, isTransient, type WarehouseFailure } from "../warehouse/failure.ts";
import type { Counted } from "./count-window.ts";
import type { RefreshOutcome } from "./refresh-outcome.ts";
import { planRetry, type RetryDeps } from "./retries.ts";

// The ends of a refresh that leave the stored numbers in place.

type Incomplete = Pick<Counted, "source"> & { identities: number; isFinal: boolean; isExpiring: boolean };

/** Keeps the stored numbers, because they have more identities than this count. */
export async function keepNumbers(
  deps: RetryDeps,
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
