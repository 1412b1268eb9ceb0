import type { Experiment } from "../experiment.ts";
import { causeSentence } from "../exposures/explain-health.ts";
import type { Health } from "../exposures/health.ts";
import type { HealthTransition } from "../exposures/health-history.ts";
import { formatNumber, formatUtc, quoteName, shortName } from "../format.ts";
import { wordFor } from "../results/describe-conclusion.ts";
import { formatInterval, formatLift } from "../results/format-results.ts";
import type { ResultTransition } from "../results/result-history.ts";
import type { Alert } from "../store/alerts.ts";
import type { Failing } from "../store/failing-alert.ts";
import { adviceFor } from "../warehouse/advice.ts";
import { isFailureKind } from "../warehouse/failure.ts";

// The alerts, in the shape that Standard Webhooks recommends. The title and the detail of each are for people.

type AlertData = { title: string; detail: string; [field: string]: unknown };

/** @param at epoch milliseconds */
function alertOf(type: string, experimentId: string | null, at: number, data: AlertData): Alert {
  const body = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data });
  return { id: `msg_${crypto.randomUUID()}`, experimentId, body };
}

/** The times that numbers are as of and were computed at, in epoch milliseconds. */
type Times = { asOf: number; computedAt: number };

/** An alert about an experiment's numbers, or the `resolved` that ends it. */
function changeAlert(
  type: "health.changed" | "results.changed",
  isResolved: boolean,
  { id, name, environmentKey, featureName }: Experiment,
  { asOf, computedAt }: Times,
  data: AlertData,
): Alert {
  return alertOf(isResolved ? "resolved" : type, id, computedAt, {
    ...(isResolved ? { alert: type } : {}),
    experiment_id: id,
    name,
    environment_key: environmentKey,
    feature_name: featureName,
    ...data,
    as_of: new Date(asOf).toISOString(),
  });
}

/** The alert for a check that has turned to warning or unhealthy, or that has recovered. */
export function healthAlert(experiment: Experiment, { check, status }: HealthTransition, times: Times): Alert {
  const isResolved = status === "resolved";
  const cause = causeSentence(check);
  return changeAlert("health.changed", isResolved, experiment, times, {
    check: check.name,
    status: isResolved ? check.status : status,
    title: `${shortName(experiment.name)}: ${check.name} ${status}`,
    detail: cause === null ? check.detail : `${check.detail} ${cause}`,
    cause,
  });
}

/** The alert for a treatment about which a decision has been made, or is no longer valid. */
export function resultsAlert(
  experiment: Experiment,
  transition: ResultTransition,
  health: Health,
  times: Times,
): Alert {
  const { metric, variant, isResolved, comparison } = transition;
  const warning = health.status === "unhealthy" ? "No result should be believed: " : "";
  return changeAlert("results.changed", isResolved, experiment, times, {
    metric: { key: metric.key, name: metric.name },
    variant,
    verdict: comparison?.verdict ?? null,
    lift: comparison?.lift ?? null,
    interval: comparison?.interval ?? null,
    p_value: comparison?.pValue ?? null,
    health: health.status,
    title: `${warning}${shortName(experiment.name)}: ${stateOf(transition)}`,
    detail: resultsDetail(transition, health),
  });
}

/** The finding with its figures. It begins with the warning that health is unhealthy, if it is. */
export function resultsDetail(transition: ResultTransition, health: Health): string {
  const unhealthy = health.checks.flatMap(({ name, status }) => (status === "unhealthy" ? [name] : []));
  const warning =
    unhealthy.length === 0 ? "" : `No result should be believed while health is unhealthy (${unhealthy.join(", ")}). `;
  return `${warning}${stateOf(transition)}${figuresOf(transition)}.`;
}

function stateOf({ metric, variant, decision, isResolved, comparison }: ResultTransition): string {
  const state = comparison === null ? "compared as it was" : wordFor(decision);
  return `${shortName(metric.name)}: ${quoteName(variant)} is ${isResolved ? "no longer " : ""}${state}`;
}

function figuresOf({ isResolved, comparison }: ResultTransition): string {
  if (comparison === null) return ", because the metric, the variants or the control have changed";
  const { lift, interval } = comparison;
  if (lift === null || interval === null) return ", because there is no lift";
  const figures = `${formatLift(lift)} (95% interval ${formatInterval(interval)}, valid at every look)`;
  return isResolved ? `. The lift is ${figures}` : ` with a lift of ${figures}`;
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
    detail: `The first failure was at ${formatUtc(since)}. ${adviceForKind(kind)}`,
  });
}

/** The advice for a stored kind, which another version may have written. */
export function adviceForKind(kind: string): string {
  return isFailureKind(kind) ? adviceFor({ kind }) : "The log states the cause.";
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
