import type { FailureKind } from "../warehouse/failure.ts";

/**
 * The cause of a refresh request, which decides when the refresh runs. An edit and a manual request run as soon as
 * possible. A webhook waits for the end of the minimum interval since the last manual request or webhook.
 */
export type RefreshTrigger = "edit" | "manual" | "webhook";

/** The outcome of one refresh. It is plain data, because it crosses an RPC boundary. */
export type RefreshOutcome =
  | { status: "refreshed" }
  /** There was nothing to do, a newer definition or result superseded this one, or it was worse than the stored one. */
  | { status: "skipped"; reason: "not_found" | "not_started" | "final" | "superseded" | "incomplete" }
  /** `storage`: the database failed. `bug`: an unexpected error, in the log in full. */
  | { status: "failed"; kind: FailureKind | "storage" | "bug"; transient: boolean };

/** Access to the coordinator of each experiment. Both methods throw if it can't be reached. */
export type Coordinators = {
  refresh(experimentId: string, now: number): Promise<RefreshOutcome>;
  request(experimentId: string, trigger: RefreshTrigger): Promise<void>;
};
