import pLimit from "p-limit";
import { type Alarm, setAlarmBy } from "../alarm.ts";
import { type Backoff, retryDelay } from "../backoff.ts";
import { describeBug, type Log } from "../log.ts";
import {
  type Alert,
  deleteAlert,
  listDueAlerts,
  nextAlertDueAt,
  type PendingAlert,
  rescheduleAlert,
} from "../store/alerts.ts";
import type { Database } from "../store/database.ts";

export type AlertDelivery = {
  /** Requests the delivery of stored alerts. Resolves once an attempt is certain to follow, else throws. */
  request(): Promise<void>;
};

/** Requests delivery, if there is a receiver. If the alerter can't be reached, the next sweep requests it again. */
export async function requestDelivery(alerts: AlertDelivery | null, log: Log): Promise<void> {
  try {
    await alerts?.request();
  } catch (error) {
    log("warn", "alerter.unreachable", { error: describeBug(error) });
  }
}

export type Alerter = AlertDelivery & {
  /** Handles the alarm. */
  onAlarm(): Promise<void>;
};

export type AlerterDeps = {
  database: Database;
  /** Sends an alert. Returns null if the receiver accepted it, else the reason for the failure. */
  post: (alert: Alert, now: number) => Promise<string | null>;
  alarm: Alarm;
  clock: () => number;
  random: () => number;
  log: Log;
};

/** The retries span 14 to 29 hours. After the last one, only the log still has the alert. */
const RETRIES: Backoff = { firstMs: 5_000, factor: 3, maxMs: 6 * 3_600_000, maxRetries: 12 };
/** A batch must fit into one Worker invocation, which has 50 subrequests on the free plan. */
const BATCH_SIZE = 20;
const MAX_CONCURRENT = 4;
const DATABASE_RETRY_MS = 60_000;

/**
 * Delivers stored alerts, each until the receiver accepts it or its retries are used up. A crash between delivery and
 * deletion delivers an alert twice.
 */
export function createAlerter(deps: AlerterDeps): Alerter {
  const serially = pLimit(1);
  const concurrently = pLimit(MAX_CONCURRENT);

  async function deliverDue(): Promise<void> {
    try {
      const due = await listDueAlerts(deps.database, deps.clock(), BATCH_SIZE);
      const deliveries = await Promise.allSettled(due.map((alert) => concurrently(deliver, alert)));
      for (const delivery of deliveries) if (delivery.status === "rejected") throw delivery.reason;
      const next = await nextAlertDueAt(deps.database);
      if (next !== null) await setAlarmBy(deps.alarm, next);
    } catch (error) {
      deps.log("error", "alerts.failed", { error: describeBug(error) });
      await setAlarmBy(deps.alarm, deps.clock() + DATABASE_RETRY_MS);
    }
  }

  async function deliver(alert: PendingAlert): Promise<void> {
    const fields = { alert_id: alert.id, experiment_id: alert.experimentId };
    const reason = await deps.post(alert, deps.clock());
    if (reason === null) {
      await deleteAlert(deps.database, alert.id);
      return deps.log("info", "alert.delivered", fields);
    }
    const failures = alert.failures + 1;
    const delay = retryDelay(failures, deps.random(), RETRIES);
    if (delay === null) {
      await deleteAlert(deps.database, alert.id);
      return deps.log("error", "alert.given_up", { ...fields, reason, tries: failures });
    }
    await rescheduleAlert(deps.database, alert.id, failures, deps.clock() + delay);
    deps.log("warn", "alert.failed", { ...fields, reason, tries: failures });
  }

  return {
    async request() {
      await setAlarmBy(deps.alarm, deps.clock());
    },
    onAlarm: () => serially(deliverDue),
  };
}
