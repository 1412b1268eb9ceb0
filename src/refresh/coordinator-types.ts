import type { Ask } from "./coordinator.ts";
import type { RefreshOutcome } from "./outcome.ts";

/** Reaches the coordinator of any experiment, wherever it lives. Both may throw when it can't be reached. */
export type Coordinators = {
  refresh(experimentId: string, now: number): Promise<RefreshOutcome>;
  ask(experimentId: string, ask: Ask): Promise<void>;
};
