import type { FailureKind } from "../warehouse/failure.ts";

/** The outcome of one refresh. It is plain data, because it crosses an RPC boundary. */
export type RefreshOutcome =
  | { status: "refreshed" }
  /** There was nothing to do, a newer definition or result superseded this one, or it was worse than the stored one. */
  | { status: "skipped"; reason: "not_found" | "not_started" | "final" | "superseded" | "incomplete" }
  /**
   * `storage`: the database failed. `bug`: an unexpected error, in the log in full. `unreachable`: the warehouse or the
   * coordinator could not be reached.
   * `retryAt`: when the failure is retried; null: the next sweep takes over.
   */
  | { status: "failed"; kind: FailureKind | "storage" | "bug"; retryAt: number | null };

/** Refreshes one experiment. `now` is the as-of time of the numbers. */
export type Refresh = (experimentId: string, now: number) => Promise<RefreshOutcome>;
