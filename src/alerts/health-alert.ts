import type { Experiment } from "../experiment.ts";
import type { Onset } from "../exposures/health-history.ts";

/** A message that waits to be delivered. */
export type Alert = {
  /** Of the message, and the same each time it is sent: its receiver knows by it what it has seen. */
  id: string;
  experimentId: string;
  /** JSON, as it is signed and sent. */
  body: string;
};

/**
 * What is sent when a check has turned to warning or unhealthy, in the shape that Standard Webhooks proposes.
 * @param asOf of the numbers, as is `at` of their computation: epoch milliseconds
 */
export function alertOf(experiment: Experiment, { check, status }: Onset, asOf: number, at: number): Alert {
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
  const body = JSON.stringify({ type: "health.changed", timestamp: new Date(at).toISOString(), data });
  return { id: `msg_${crypto.randomUUID()}`, experimentId: id, body };
}
