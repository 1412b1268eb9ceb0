import { type Alerts, createAlerter } from "../alerts/alerter.ts";
import { postAlert } from "../alerts/post.ts";
import { consoleLog } from "../log.ts";
import type { AlertEndpoint } from "../settings.ts";
import type { Database } from "../store/database.ts";
import { createTimerAlarm } from "./timer-alarm.ts";

export type ProcessAlerts = Alerts & {
  /** Begins no more deliveries, and resolves when those under way have ended. */
  stop(): Promise<void>;
};

/** The alerter of a single process. Its alarm ends with the process; what was not delivered stands in the database. */
export function createAlerts(endpoint: AlertEndpoint, database: Database): ProcessAlerts {
  let stopped = false;
  let delivering: Promise<void> = Promise.resolve();
  const timer = createTimerAlarm(Date.now, () => {
    delivering = alerter.wake();
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
    ask: alerter.ask,
    async stop() {
      stopped = true;
      await timer.clear();
      await delivering;
    },
  };
}
