import { healthAlert, resultsAlert, resultsDetail } from "../alerts/messages.ts";
import type { Health } from "../exposures/health.ts";
import { type HealthHistory, trackHealth } from "../exposures/health-history.ts";
import { computeResults } from "../results/compute-results.ts";
import { type ResultHistory, trackResults } from "../results/result-history.ts";
import type { Alert } from "../store/alerts.ts";
import type { RefreshBasis } from "../store/refresh-basis.ts";
import type { CountedResults } from "./count-window.ts";

/** A change to log, with the fields of the log line, and to alert. */
export type Change = {
  event: "health.changed" | "results.changed";
  fields: Readonly<Record<string, string>>;
  alert: Alert;
};

/**
 * Finds the changes of health and results after a refresh, and the histories to store. If the refresh computed no results,
 * their history stays.
 */
export function trackChanges(
  { experiment, healthHistory, resultHistory }: Pick<RefreshBasis, "experiment" | "healthHistory" | "resultHistory">,
  health: Health,
  counted: CountedResults,
  times: { asOf: number; computedAt: number },
): { histories: { healthHistory: HealthHistory; resultHistory: ResultHistory }; changes: Change[] } {
  const ofHealth = trackHealth(healthHistory, health);
  const isStale = counted === "failed" || (counted === null && experiment.metrics.length > 0);
  const ofResults = isStale
    ? { history: resultHistory, transitions: [] }
    : trackResults(resultHistory, counted && computeResults(counted.metrics, experiment));
  return {
    histories: { healthHistory: ofHealth.history, resultHistory: ofResults.history },
    changes: [
      ...ofHealth.transitions.map((transition): Change => {
        const { check, status } = transition;
        const fields = { check: check.name, status, detail: check.detail };
        return { event: "health.changed", fields, alert: healthAlert(experiment, transition, times) };
      }),
      ...ofResults.transitions.map((transition): Change => {
        const { metric, variant, decision, isResolved } = transition;
        const status = isResolved ? "resolved" : decision;
        const fields = { metric: metric.key, variant, status, detail: resultsDetail(transition, health) };
        return { event: "results.changed", fields, alert: resultsAlert(experiment, transition, health, times) };
      }),
    ],
  };
}
