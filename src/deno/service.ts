import { requestDelivery } from "../alerts/alerter.ts";
import { alertFailingRefreshes } from "../alerts/failing-refreshes.ts";
import { createApp } from "../app.ts";
import { refuse } from "../http/problem.ts";
import { consoleLog } from "../log.ts";
import { createDispatcher } from "../refresh/dispatcher.ts";
import { createExclusiveSweep } from "../refresh/exclusive-sweep.ts";
import { refreshExperiment } from "../refresh/refresh-experiment.ts";
import { cleanUpWindows } from "../refresh/state-maintenance.ts";
import { sweep } from "../refresh/sweep.ts";
import { maxRefreshMs, sweepBudget } from "../refresh/sweep-times.ts";
import { failed, ok, type Result } from "../result.ts";
import { describeProblems, findShortSecrets, parseSettings } from "../settings.ts";
import { createSummaryCache, invalidateAfter, summariesThrough } from "../store/summary-cache.ts";
import { connectWarehouse } from "../warehouse/client.ts";
import { createDiscovery } from "../warehouse/discovery.ts";
import { lockFolder } from "./lock-folder.ts";
import { openDatabase } from "./open-database.ts";
import { createProcessAlerter } from "./process-alerter.ts";
import { openFlagsmith } from "./process-flagsmith.ts";
import { createProcessLimiter } from "./process-limiter.ts";
import { invalidSettings, type StartFailure } from "./start-failure.ts";
import { createTimerAlarm } from "./timer-alarm.ts";

export type Service = {
  /** Describes the secrets that are too short for a service that other machines can reach; empty: none is. */
  shortSecrets: string;
  /** @param connection Deno's description of the connection */
  fetch(request: Request, connection: { remoteAddr: object }): Response | Promise<Response>;
  /** Runs one sweep, and resolves to false if not all experiments were refreshed. A call during a sweep shares its result. */
  sweep(now: number): Promise<boolean>;
  /** Rejects new requests, waits for the requests in flight, closes the database, and unlocks `stateDir`. */
  stop(): Promise<void>;
};

/**
 * Opens the whole product in one process: the app, the dispatcher and a SQLite file in `stateDir`. It locks `stateDir`,
 * because two processes could query for one experiment at once. It resumes the requests and alerts that the previous
 * process accepted but did not finish.
 */
export async function openService(
  env: Readonly<Record<string, string | undefined>>,
  stateDir: string,
): Promise<Result<Service, StartFailure>> {
  const parsed = parseSettings(env);
  if (!parsed.ok) return failed(invalidSettings(describeProblems(parsed.failure)));
  const settings = parsed.value;
  const { states, alertEndpoint, queryConcurrency: concurrency } = settings;
  const lock = await lockFolder(stateDir);
  if (!lock.ok) return lock;
  const sqlite = await openDatabase(stateDir);
  if (!sqlite.ok) {
    lock.value.release();
    return sqlite;
  }
  const cache = createSummaryCache(settings.cacheSeconds * 1000, Date.now);
  const database = invalidateAfter(sqlite.value, cache);

  const warehouse = connectWarehouse(settings.warehouse);
  const shared = { database, warehouse, clock: Date.now, random: Math.random, log: consoleLog };
  const alerts = alertEndpoint === null ? null : createProcessAlerter(alertEndpoint, database);
  const { settleMs, eventsTtlDays, breakdownTraits } = settings;
  const refreshing = { ...shared, settleMs, eventsTtlDays, breakdownTraits, states, alerts };
  let stopped = false;
  const timer = createTimerAlarm(Date.now, () => void dispatcher.onAlarm());
  const dispatcher = createDispatcher({
    ...shared,
    // The dispatcher never refreshes an experiment twice at once, so one process needs no coordinators.
    refresh: (experimentId, now) => refreshExperiment(refreshing, experimentId, now),
    concurrency,
    maxRefreshMs: maxRefreshMs(settings),
    alarm: { ...timer, set: async (at) => (stopped ? undefined : timer.set(at)) },
  });
  const sweepDeps = { ...shared, concurrency, refreshSlice: dispatcher.refreshSlice };
  const flagsmith = settings.flagsmith && openFlagsmith(settings.flagsmith, { ...shared, dispatcher });
  const exclusiveSweep = createExclusiveSweep(Date.now, refreshAll);
  const app = createApp({
    ...shared,
    settings,
    summaries: summariesThrough(cache, database),
    discovery: createDiscovery(warehouse, settings.warehouse.queryTimeoutMs, Date.now),
    dispatcher,
    flagsmith,
    alerts,
    limiter: createProcessLimiter(Date.now),
  });

  const inFlight = new Set<Promise<Response>>();
  let lastSweep: Promise<boolean> | null = null;
  let cleanUp: Promise<void> = Promise.resolve();

  function fetch(request: Request, connection: { remoteAddr: object }): Response | Promise<Response> {
    if (stopped) return refuse({ kind: "unavailable" });
    const response = app.fetch(request, peerOf(connection));
    if (response instanceof Response) return response;
    inFlight.add(response);
    return response.finally(() => inFlight.delete(response));
  }

  async function refreshAll(now: number): Promise<boolean> {
    await requestDelivery(alerts, consoleLog);
    const until = Date.now() + sweepBudget(settings);
    await dispatcher.wake(null);
    await flagsmith?.syncs.run();
    const isComplete = await sweep(sweepDeps, now, until);
    if (states !== null) cleanUp = cleanUp.then(() => cleanUpWindows({ ...shared, ...states }));
    await alertFailingRefreshes({ ...shared, alerts }, Date.now());
    return isComplete;
  }

  await requestDelivery(alerts, consoleLog);
  await dispatcher.wake(null);
  return ok({
    shortSecrets: describeProblems(findShortSecrets(settings)),
    fetch,
    sweep(now) {
      lastSweep = exclusiveSweep(now);
      return lastSweep;
    },
    async stop() {
      stopped = true;
      while (inFlight.size > 0) await Promise.allSettled(inFlight);
      await flagsmith?.syncs.stop();
      await timer.clear();
      await dispatcher.stop();
      await lastSweep;
      await cleanUp;
      await alerts?.stop();
      sqlite.value.close();
      lock.value.release();
    },
  });
}

/** The client of a connection. Its address is read on demand, because reading it takes time. */
function peerOf(connection: { remoteAddr: object }) {
  return {
    get address(): string | undefined {
      const { remoteAddr } = connection;
      return "hostname" in remoteAddr ? String(remoteAddr.hostname) : undefined;
    },
  };
}
