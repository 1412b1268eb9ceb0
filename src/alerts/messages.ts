import type { Experiment } from "../experiment.ts";
import { formatNumber, formatUtc } from "../exposures/format.ts";
import type { HealthTransition } from "../exposures/health-history.ts";
import type { Alert } from "../store/alerts.ts";
import type { Failing } from "../store/refresh-failures.ts";
import { adviceFor } from "../warehouse/advice.ts";
import { isFailureKind } from "../warehouse/failure.ts";

// The alerts, in the shape that Standard Webhooks recommends. The title and the detail of each are for people.

type AlertData = { title: string; detail: string; [field: string]: unknown };

/** @param at epoch milliseconds */
function alertOf(type: string, experimentId: string | null, at: number, data: AlertData): Alert {
  const body = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data });
  return { id: `msg_${crypto.randomUUID()}`, experimentId, body };
}

/**
 * The alert for a check that has turned to warning or unhealthy, or that has recovered.
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
  const isResolved = status === "resolved";
  return alertOf(isResolved ? "resolved" : "health.changed", id, computedAt, {
    ...(isResolved ? { alert: "health.changed" } : {}),
    experiment_id: id,
    name,
    environment_key: environmentKey,
    feature_name: featureName,
    check: check.name,
    status: isResolved ? check.status : status,
    title: `${name}: ${check.name} ${status}`,
    detail: check.detail,
    as_of: new Date(asOf).toISOString(),
  });
}

/** The alert for experiments whose refreshes have failed for an hour. */
export function failingAlert({ experiments, experimentIds, since, kind }: Failing, now: number): Alert {
  const subject = experiments === 1 ? "1 experiment" : `${formatNumber(experiments)} experiments`;
  return alertOf("refresh.failing", null, now, {
    experiments,
    experiment_ids: experimentIds,
    since: new Date(since).toISOString(),
    kind,
    title: `Refreshes of ${subject} have failed for an hour`,
    detail: `The first failure was at ${formatUtc(since)}. ${adviceForKind(kind)}.`,
  });
}

/** The advice for a stored kind, which another version may have written. */
export function adviceForKind(kind: string): string {
  return isFailureKind(kind) ? adviceFor({ kind }) : "The log states the cause";
}

/** The alert for the end of failing refreshes. */
export function failingResolved(now: number): Alert {
  const title = "Refreshes succeed again";
  const detail = "No experiment's refreshes have failed for an hour or longer.";
  return alertOf("resolved", null, now, { alert: "refresh.failing", title, detail });
}

/**
 * The alert that an operator sends to test the delivery.
 * @param by the name of the operator's token
 */
export function testAlert(by: string, now: number): Alert {
  return alertOf("test", null, now, { title: "Test alert", detail: `Alerts arrive here. Sent with ${by}.` });
}
