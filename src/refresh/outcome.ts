import type { FailureKind } from "../warehouse/failure.ts";

/** How one experiment's refresh ended. Plain data: it travels from the coordinator to whoever waits for it. */
export type RefreshOutcome =
  | { status: "refreshed" }
  /** There was nothing to do, or something newer made the result worthless. */
  | { status: "skipped"; reason: "not_found" | "not_started" | "final" | "superseded" }
  /** `storage`: D1 failed. `bug`: we did; the log has it in full. */
  | { status: "failed"; kind: FailureKind | "storage" | "bug"; transient: boolean };
