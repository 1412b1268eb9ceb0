import { type AlertDelivery, createAlerter } from "../alerts/alerter.ts";
import { postAlert } from "../alerts/post-alert.ts";
import { consoleLog } from "../log.ts";
import type { AlertEndpoint } from "../settings.ts";
import type { Database } from "../store/database.ts";
import { createTimerAlarm } from "./timer-alarm.ts";

export type ProcessAlerter = AlertDelivery & {
  /** Starts no more deliveries, and resolves when those in flight have ended. */
  stop(): Promise<void>;
};

/** Creates the alerter of a single process. Its alarm ends with the process, but undelivered alerts stay in the database. */
export function createProcessAlerter(endpoint: AlertEndpoint, database: Database): ProcessAlerter {
  let stopped = false;
  let inFlight: Promise<void> = Promise.resolve();
  const timer = createTimerAlarm(Date.now, () => {
    inFlight = alerter.onAlarm();
  });
  const alerter = createAlerter({
    database,
    post: (alert, now) => postAlert(endpoint, alert, now),
    alarm: { ...timer, set: async (at) => (stopped ? undefined : timer.set(at)) },
    clock: Date.now,
    random: Math.random,
    log: consoleLog,
  });
  return {
    request: alerter.request,
    async stop() {
      stopped = true;
      await timer.clear();
      await inFlight;
    },
  };
}
