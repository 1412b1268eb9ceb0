import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { askForDelivery } from "../alerts/alerter.ts";
import { createApp } from "../app.ts";
import { refuse } from "../http/problem.ts";
import { createRecentSummaries } from "../store/summary-cache.ts";
import { consoleLog } from "../log.ts";
import { tidyWindows } from "../refresh/state-upkeep.ts";
import { createRefreshSlice, sweep, sweepBudget } from "../refresh/sweep.ts";
import { createSweeper } from "../refresh/exclusive-sweep.ts";
import { failed, ok, type Result } from "../result.ts";
import { describeProblems, parseSettings } from "../settings.ts";
import { migrate } from "../store/migrations.ts";
import { listUnserved } from "../store/refresh-requests.ts";
import { connectWarehouse } from "../warehouse/client.ts";
import { createAlerts } from "./process-alerter.ts";
import { createCoordinators } from "./process-coordinators.ts";
import { createLimiter } from "./process-limiter.ts";
import { readMigrations } from "./read-migrations.ts";
import { openSqlite } from "./sqlite.ts";

export type Service = {
  /** @param connection what Deno tells about it */
  fetch(request: Request, connection: { remoteAddr: object }): Response | Promise<Response>;
  /** One sweep; resolves to false if not all was refreshed. While one is under way, another shares its end. */
  sweep(now: number): Promise<boolean>;
  /** Takes no more requests, lets what is under way end, and closes the database. */
  stop(): Promise<void>;
};

/**
 * The whole product in one process: the app, the coordinators and a SQLite file in `stateDir`. What the last process
 * had accepted and not done is taken up at once.
 */
export async function openService(
  env: Readonly<Record<string, string | undefined>>,
  stateDir: string,
): Promise<Result<Service, string>> {
  const parsed = parseSettings(env);
  if (!parsed.ok) return failed(describeProblems(parsed.failure));
  const settings = parsed.value;
  const opened = openDatabase(stateDir);
  if (!opened.ok) return opened;
  const recent = createRecentSummaries(settings.cacheSeconds * 1000, Date.now);
  const database = { ...opened.value, recent };
  await migrate(database, readMigrations("migrations/d1"));
  const warehouse = connectWarehouse(settings.warehouse);
  const shared = { database, warehouse, clock: Date.now, log: consoleLog };
  const {
    settleMs,
    eventsTtlDays,
    states,
    alertEndpoint,
    refreshMinIntervalMs: minIntervalMs,
    sweepConcurrency: concurrency,
  } = settings;
  const alerts = alertEndpoint === null ? null : createAlerts(alertEndpoint, database);
  const coordinators = createCoordinators({
    ...shared,
    settleMs,
    eventsTtlDays,
    states,
    alerts,
    minIntervalMs,
    concurrency,
    random: Math.random,
  });
  const { refresh } = coordinators;
  const sweeps = { ...shared, concurrency, refreshSlice: createRefreshSlice({ ...shared, concurrency, refresh }) };
  const budget = sweepBudget(settings.warehouse.queryTimeoutMs);
  const sweeper = createSweeper(Date.now, sweepAndTidy);
  const app = createApp({ ...shared, settings, coordinators, limiter: createLimiter(Date.now) });

  const answering = new Set<Promise<Response>>();
  let sweeping: Promise<boolean> | null = null;
  let stopped = false;

  function fetch(request: Request, connection: { remoteAddr: object }): Response | Promise<Response> {
    if (stopped) return refuse({ kind: "unavailable" });
    const answer = app.fetch(request, new Sender(connection));
    if (answer instanceof Response) return answer;
    answering.add(answer);
    return answer.finally(() => answering.delete(answer));
  }

  async function sweepAndTidy(now: number): Promise<boolean> {
    const done = await sweep(sweeps, now, Date.now() + budget);
    if (states !== null) await tidyWindows({ ...shared, ...states });
    await askForDelivery(alerts, consoleLog);
    return done;
  }

  await askForDelivery(alerts, consoleLog);
  for (const experimentId of await listUnserved(database)) await coordinators.ask(experimentId, "edit");
  return ok({
    fetch,
    sweep(now) {
      sweeping = sweeper(now);
      return sweeping;
    },
    async stop() {
      stopped = true;
      while (answering.size > 0) await Promise.allSettled(answering);
      await coordinators.stop();
      await sweeping;
      await alerts?.stop();
      database.close();
    },
  });
}

/** Whose address is only looked up if somebody wants to know it: to do so takes time. */
class Sender {
  readonly #connection: { remoteAddr: object };

  constructor(connection: { remoteAddr: object }) {
    this.#connection = connection;
  }

  get address(): string | undefined {
    const { remoteAddr } = this.#connection;
    return "hostname" in remoteAddr ? String(remoteAddr.hostname) : undefined;
  }
}

function openDatabase(stateDir: string): Result<ReturnType<typeof openSqlite>, string> {
  try {
    mkdirSync(stateDir, { recursive: true });
    return ok(openSqlite(join(stateDir, "edge-exposures.sqlite")));
  } catch (error) {
    return failed(`STATE_DIR ${stateDir} can't be used: ${String(error)}`);
  }
}
