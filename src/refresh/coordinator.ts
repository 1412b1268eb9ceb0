import type { RefreshOutcome } from "./refresh-outcome.ts";

/**
 * Serialises the refreshes of one experiment: never two at once. Callers that arrive during a refresh share the next one,
 * because the one in flight may have queried the warehouse too early for them.
 * @param refresh runs one refresh; it never throws
 */
export function createCoordinator(refresh: (now: number) => Promise<RefreshOutcome>) {
  let inFlight: Promise<RefreshOutcome> | null = null;
  let queued: { now: number; outcome: Promise<RefreshOutcome> } | null = null;

  function start(now: number): Promise<RefreshOutcome> {
    inFlight = refresh(now).finally(() => {
      inFlight = null;
    });
    return inFlight;
  }

  function startQueued(): Promise<RefreshOutcome> {
    const now = queued?.now ?? 0;
    queued = null;
    return start(now);
  }

  /** Refreshes, or joins the refresh that is queued behind the one in flight. */
  return (now: number): Promise<RefreshOutcome> => {
    if (inFlight === null) return start(now);
    queued ??= { now, outcome: inFlight.then(startQueued) };
    queued.now = Math.max(queued.now, now);
    return queued.outcome;
  };
}
