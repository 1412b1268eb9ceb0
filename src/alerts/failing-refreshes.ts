import { HOUR } from "../exposures/buckets.ts";
import { describeBug, type Log } from "../log.ts";
import { alertStatement } from "../store/alerts.ts";
import { type Database, DatabaseUnavailable } from "../store/database.ts";
import { failingAlertStatement, findFailing, isStillAlerted } from "../store/failing-alert.ts";
import { type AlertDelivery, requestDelivery } from "./alerter.ts";
import { adviceForKind, failingAlert, failingResolved } from "./messages.ts";

export type FailingDeps = {
  database: Database;
  /** Null if there is no receiver. Changes are logged all the same. */
  alerts: AlertDelivery | null;
  log: Log;
};

/**
 * Returns whether an alert is due.
 * @param failing the number of experiments whose refreshes fail
 * @param alerted their number in the open alert; null: none is open
 */
function isAlertDue(failing: number, alerted: number | null): boolean {
  return failing === 0 ? alerted !== null : failing >= 2 * (alerted ?? 0);
}

/**
 * Alerts if refreshes of experiments have failed for an hour, and when that is over. There is one alert for all of them,
 * because a warehouse that is down fails every experiment. While it is open, it is sent again when at least twice as many
 * fail. Call it after each sweep. A database that does not answer is logged, and the next sweep tries again.
 */
export async function alertFailingRefreshes({ database, alerts, log }: FailingDeps, now: number): Promise<void> {
  try {
    const { failing, alerted } = await findFailing(database, now - HOUR, now);
    const experiments = failing?.experiments ?? 0;
    if (!isAlertDue(experiments, alerted)) {
      // With fewer failing, it takes fewer to alert again.
      if (experiments < (alerted ?? 0)) await database.transact([failingAlertStatement(experiments)]);
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
    await requestDelivery(alerts, log);
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error;
    log("error", "alerts.failed", { error: describeBug(error) });
  }
}
