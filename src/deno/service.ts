import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createApp } from "../http/app.ts";
import { refuse } from "../http/problem.ts";
import { consoleLog } from "../log.ts";
import { createRefreshSlice, sweep, sweepBudget } from "../refresh/sweep.ts";
import { createSweeper } from "../refresh/sweeper.ts";
import { failed, ok, type Result } from "../result.ts";
import { describeProblems, parseSettings } from "../settings.ts";
import { migrate } from "../store/migrations.ts";
import { listUnserved } from "../store/requests.ts";
import { connectWarehouse } from "../warehouse/client.ts";
import { createCoordinators } from "./coordinators.ts";
import { createLimiter } from "./limiter.ts";
import { readMigrations } from "./read-migrations.ts";
import { openSqlite } from "./sqlite.ts";

export type Service = {
  /** @param connection what Deno tells about it */
  fetch(request: Request, connection: { remoteAddr: object }): Promise<Response>;
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
  const database = opened.value;
  await migrate(database, readMigrations("migrations/d1"));
  const warehouse = connectWarehouse(settings.warehouse);
  const shared = { database, warehouse, clock: Date.now, log: consoleLog };
  const { settleMs, refreshMinIntervalMs: minIntervalMs, sweepConcurrency: concurrency } = settings;
  const coordinators = createCoordinators({ ...shared, settleMs, minIntervalMs, concurrency, random: Math.random });
  const { refresh } = coordinators;
  const sweeps = { ...shared, concurrency, refreshSlice: createRefreshSlice({ ...shared, concurrency, refresh }) };
  const budget = sweepBudget(settings.warehouse.queryTimeoutMs);
  const sweeper = createSweeper(Date.now, (now) => sweep(sweeps, now, Date.now() + budget));
  const app = createApp({ ...shared, settings, coordinators, limiter: createLimiter(Date.now) });

  const answering = new Set<Promise<Response>>();
  let sweeping: Promise<boolean> | null = null;
  let stopped = false;

  async function fetch(request: Request, { remoteAddr }: { remoteAddr: object }): Promise<Response> {
    if (stopped) return refuse({ kind: "unavailable" });
    const address = "hostname" in remoteAddr ? String(remoteAddr.hostname) : undefined;
    const answer = Promise.resolve(app.fetch(request, { address }));
    answering.add(answer);
    return answer.finally(() => answering.delete(answer));
  }

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
      database.close();
    },
  });
}

function openDatabase(stateDir: string): Result<ReturnType<typeof openSqlite>, string> {
  try {
    mkdirSync(stateDir, { recursive: true });
    return ok(openSqlite(join(stateDir, "edge-exposures.sqlite")));
  } catch (error) {
    return failed(`STATE_DIR ${stateDir} can't be used: ${String(error)}`);
  }
}
