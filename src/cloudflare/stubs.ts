import type { AlertDelivery } from "../alerts/alerter.ts";
import type { Coordinators } from "../refresh/coordinator-types.ts";
import type { Settings } from "../settings.ts";
import type { Env } from "./env.ts";

// Access to the Durable Objects by name.

/** The coordinators, one object per experiment, named by its id. */
export function coordinatorStubs({ COORDINATOR }: Env): Coordinators {
  return {
    refresh: (experimentId, now) => COORDINATOR.getByName(experimentId).refresh(experimentId, now),
    request: (experimentId, trigger) => COORDINATOR.getByName(experimentId).request(experimentId, trigger),
  };
}

/** The one sweeper. */
export function sweeperStub({ SWEEPER }: Env) {
  return SWEEPER.getByName("sweeper");
}

/** The one alerter; null if there is no receiver. */
export function alerterStub({ ALERTER }: Env, { alertEndpoint }: Settings): AlertDelivery | null {
  return alertEndpoint === null ? null : { request: () => ALERTER.getByName("alerter").request() };
}
