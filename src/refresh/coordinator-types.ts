import type { FailureKind } from "../warehouse/failure.ts";

/**
 * The cause of a refresh request, which decides when it runs: an edit or a manual request as soon as possible, a webhook
 * not before the minimum interval since the last manual request or webhook is over.
 */
export type RefreshTrigger = "edit" | "manual" | "webhook";

/** The outcome of one refresh. It is plain data, because it crosses an RPC boundary. */
export type RefreshOutcome =
  | { status: "refreshed" }
  /** There was nothing to do, or something newer made the result worthless. */
  | { status: "skipped"; reason: "not_found" | "not_started" | "final" | "superseded" }
  /** `storage`: the database failed. `bug`: an unexpected error, in the log in full. */
  | { status: "failed"; kind: FailureKind | "storage" | "bug"; transient: boolean };

/** The coordinators of all experiments, wherever they live. Both calls may throw if one can't be reached. */
export type Coordinators = {
  refresh(experimentId: string, now: number): Promise<RefreshOutcome>;
  request(experimentId: string, trigger: RefreshTrigger): Promise<void>;
};
