import type { Experiment } from "../experiment.ts";
import type { HealthTransition } from "../exposures/health-history.ts";
import type { Alert } from "../store/alerts.ts";

/**
 * The alert for a check that has turned to warning or unhealthy, in the shape that Standard Webhooks recommends.
 * @param asOf the time that the numbers are as of, in epoch milliseconds
 * @param computedAt the time of their computation, in epoch milliseconds
 */
export function healthAlert(
  experiment: Experiment,
  { check, status }: HealthTransition,
  asOf: number,
  computedAt: number,
): Alert {
  const { id, name, environmentKey, featureName } = experiment;
  const data = {
    experiment_id: id,
    name,
    environment_key: environmentKey,
    feature_name: featureName,
    check: check.name,
    status,
    detail: check.detail,
    as_of: new Date(asOf).toISOString(),
  };
  const body = JSON.stringify({ type: "health.changed", timestamp: new Date(computedAt).toISOString(), data });
  return { id: `msg_${crypto.randomUUID()}`, experimentId: id, body };
}
