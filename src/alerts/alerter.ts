import pLimit from "p-limit";
import { describeBug, type Log } from "../log.ts";
import { type Backoff, retryDelay } from "../backoff.ts";
import type { Alarm } from "../refresh/coordinator.ts";
import { forgetAlert, listDueAlerts, nextAlertDue, postponeAlert, type WaitingAlert } from "../store/alerts.ts";
import type { Database } from "../store/database.ts";
import type { Alert } from "./health-alert.ts";

/** Whoever has stored an alert asks for its delivery. */
export type Alerts = {
  /** Resolves once the delivery is bound to be tried. Throws if that can't be promised. */
  ask(): Promise<void>;
};

/** Asks, if there is anywhere to deliver to. Who can't be reached now is asked again after the next sweep. */
export async function askForDelivery(alerts: Alerts | null, log: Log): Promise<void> {
  try {
    await alerts?.ask();
  } catch (error) {
    log("warn", "alerter.unreachable", { error: describeBug(error) });
  }
}

export type Alerter = Alerts & {
  /** To be called when the alarm goes off. */
  wake(): Promise<void>;
};

export type AlerterDeps = {
  database: Database;
  /** Null if the alert was taken, else why not. */
  post: (alert: Alert, now: number) => Promise<string | null>;
  alarm: Alarm;
  clock: () => number;
  random: () => number;
  log: Log;
};

/** From seconds to hours, for a good day; then the log is all that is left of an alert. */
const RETRIES: Backoff = { firstMs: 5_000, factor: 3, longestMs: 6 * 3_600_000, most: 12 };
/** What is done at one waking must fit into one invocation of a Worker, on the free plan: 50 subrequests. */
const SLICE = 20;
const AT_ONCE = 4;
/** How long the database is left alone when it did not answer. */
const PAUSE_MS = 60_000;

/**
 * Delivers stored alerts, each until it is taken or has been tried for long enough. A crash between delivery and
 * forgetting delivers it once more.
 */
export function createAlerter(deps: AlerterDeps): Alerter {
  const oneAtATime = pLimit(1);
  const atOnce = pLimit(AT_ONCE);

  async function deliverDue(): Promise<void> {
    try {
      const due = await listDueAlerts(deps.database, deps.clock(), SLICE);
      const delivered = await Promise.allSettled(due.map((alert) => atOnce(deliver, alert)));
      for (const outcome of delivered) if (outcome.status === "rejected") throw outcome.reason;
      const next = await nextAlertDue(deps.database);
      if (next !== null) await wakeBy(next);
    } catch (error) {
      deps.log("error", "alerts.failed", { error: describeBug(error) });
      await wakeBy(deps.clock() + PAUSE_MS);
    }
  }

  async function deliver(alert: WaitingAlert): Promise<void> {
    const about = { alert_id: alert.id, experiment_id: alert.experimentId };
    const reason = await deps.post(alert, deps.clock());
    if (reason === null) {
      await forgetAlert(deps.database, alert.id);
      return deps.log("info", "alert.delivered", about);
    }
    const failures = alert.failures + 1;
    const delay = retryDelay(failures, deps.random(), RETRIES);
    if (delay === null) {
      await forgetAlert(deps.database, alert.id);
      return deps.log("error", "alert.given_up", { ...about, reason, tries: failures });
    }
    await postponeAlert(deps.database, alert.id, failures, deps.clock() + delay);
    deps.log("warn", "alert.failed", { ...about, reason, tries: failures });
  }

  async function wakeBy(at: number): Promise<void> {
    const set = await deps.alarm.get();
    if (set === null || set > at) await deps.alarm.set(at);
  }

  return { ask: () => wakeBy(deps.clock()), wake: () => oneAtATime(deliverDue) };
}
