import type { AlertDelivery } from "../alerts/alerter.ts";
import type { Refresh } from "../refresh/refresh-outcome.ts";
import type { Settings } from "../settings.ts";
import type { Env } from "./env.ts";

// Access to the Durable Objects by name.

/** Refreshes through the coordinators, one object per experiment, named by its id. */
export function coordinatorStubs({ COORDINATOR }: Env): Refresh {
  return (experimentId, now) => COORDINATOR.getByName(experimentId).refresh(experimentId, now);
}

/** The one dispatcher. */
export function dispatcherStub({ DISPATCHER }: Env) {
  return DISPATCHER.getByName("dispatcher");
}

/** The one alerter; null if there is no receiver. */
export function alerterStub({ ALERTER }: Env, { alertEndpoint }: Settings): AlertDelivery | null {
  return alertEndpoint === null ? null : { request: () => ALERTER.getByName("alerter").request() };
}
