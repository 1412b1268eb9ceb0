import { describeBug, type Log } from "../log.ts";
import { alertStatement } from "../store/alerts.ts";
import { type Database, DatabaseUnavailable } from "../store/database.ts";
import { failingAlertStatement, findFailing, isStillAlerted } from "../store/refresh-failures.ts";
import { type AlertDelivery, requestDelivery } from "./alerter.ts";
import { adviceForKind, failingAlert, failingResolved } from "./messages.ts";

const HOUR = 3_600_000;

export type FailingDeps = {
  database: Database;
  /** Null if there is no receiver. Changes are logged all the same. */
  alerts: AlertDelivery | null;
  log: Log;
};

/** The change of the one alert about failing refreshes; null: there is none. */
export function failingTransition(failing: number, alerted: number | null): "failing" | "resolved" | null {
  if (failing === 0) return alerted === null ? null : "resolved";
  return alerted === null || failing >= 2 * alerted ? "failing" : null;
}

/**
 * Alerts if refreshes of experiments have failed for an hour, and when that is over. There is one alert for all of them,
 * because a warehouse that is down fails every experiment. While it is open, it is sent again when at least twice as many
 * fail. Call it after each sweep. Never throws.
 */
export async function alertFailingRefreshes({ database, alerts, log }: FailingDeps, now: number): Promise<void> {
  try {
    const { failing, alerted } = await findFailing(database, now - HOUR, now);
    const experiments = failing?.experiments ?? 0;
    const transition = failingTransition(experiments, alerted);
    if (transition === null) {
      // With fewer failing, it takes fewer to alert again.
      if (alerted !== null && experiments < alerted) await database.transact([failingAlertStatement(experiments)]);
      return;
    }
    const alert = failing === null ? failingResolved(now) : failingAlert(failing, now);
    const stored = alerts === null ? [] : [alertStatement(alert, now, isStillAlerted("?1"), [alerted])];
    await database.transact([...stored, failingAlertStatement(failing === null ? null : experiments)]);
    if (failing === null) log("info", "refresh.resolved");
    else
      log("error", "refresh.failing", {
        experiments,
        experiment_ids: failing.experimentIds,
        kind: failing.kind,
        advice: adviceForKind(failing.kind),
      });
    if (alerts !== null) await requestDelivery(alerts, log);
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error;
    log("error", "alerts.failed", { error: describeBug(error) });
  }
}
