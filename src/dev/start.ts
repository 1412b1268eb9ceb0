import { resolve } from "node:path";
import { isLocked, tryLock } from "../deno/lock-folder.ts";
import { consoleLog, describeBug } from "../log.ts";
import { failed, ok, type Result } from "../result.ts";
import { adviceFor } from "../warehouse/advice.ts";
import { connectWarehouse } from "../warehouse/client.ts";
import { createDemo } from "./demo.ts";
import { startDeno } from "./local-deno.ts";
import { prepareWarehouse, startWarehouse } from "./local-warehouse.ts";
import type { LocalService, Stoppable } from "./local-worker.ts";
import { type Options, readOptions } from "./options.ts";
import { describePortInUse, isFree } from "./ports.ts";

// `npm start` and `npm run start:deno` run the warehouse and the Worker (or the app under Deno) on this machine, until
// SIGINT or SIGTERM.

/** The started parts, in start order. They stop in reverse order. */
const running: Stoppable[] = [];
let ready = false;
let stopping = false;
/** True from the first failure on, whose reason is the only one to be logged. */
let failing = false;

async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  for (const part of running.reverse()) await part.stop().catch(() => undefined);
  process.exit(code);
}

/** Logs one clear line instead of a stack, and stops. */
async function giveUp(reason: string): Promise<void> {
  if (failing) return;
  failing = true;
  await noticeExit();
  if (!stopping) console.error(`edge-exposures can't ${ready ? "continue" : "start"}: ${reason}`);
  return stop(1);
}

/**
 * Waits until signals and exits are noticed. Ctrl-C also reaches the children, whose exit may be noticed before it. An
 * exit may be noticed after the failed request that it caused.
 */
async function noticeExit(): Promise<void> {
  await new Promise((wake) => setTimeout(wake, 100));
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void stop(0));

const options = readOptions(process.env);
if (options.ok) await start(options.value).catch(reportError);
else await giveUp(options.failure);

/** Reports an error, unless it is the consequence of an exit. */
async function reportError(error: unknown): Promise<void> {
  await noticeExit();
  await giveUp(String(error));
}

async function start({ port, warehousePort, stateDir, demo, sweepSeconds, embedded, bindings, settings }: Options) {
  const folder = resolve(stateDir);
  const locked = lockFolder(folder);
  if (!locked.ok) return giveUp(locked.failure);
  running.push(locked.value);
  if (!(await isFree(port))) return giveUp(describePortInUse("PORT", port));
  const { warehouse } = settings;

  if (embedded) {
    if (!(await isFree(warehousePort))) return giveUp(describePortInUse("WAREHOUSE_PORT", warehousePort));
    const users = [{ name: warehouse.user, password: warehouse.password, readonly: 0 as const }];
    const started = await startWarehouse({ folder: resolve(folder, "warehouse"), port: warehousePort, users });
    if (!started.ok) return giveUp(started.failure);
    running.push(started.value);
    void started.value.exited.then(() =>
      giveUp(
        "the embedded warehouse exited. Its output above states the reason. Start again, or set CLICKHOUSE_URL to your own ClickHouse.",
      ),
    );
    await prepareWarehouse(warehouse, settings.states !== null);
  } else {
    const probe = await connectWarehouse(warehouse).select("SELECT 1 AS one", {});
    if (!probe.ok) return giveUp(adviceFor(probe.failure));
  }

  const started = await startRuntime(folder, port, bindings);
  if (!started.ok) return giveUp(started.failure);
  const worker = started.value;
  void worker.exited?.then(giveUp);
  const demoData = demo ? createDemo(warehouse, worker.url, settings.adminToken ?? "") : null;
  await demoData?.addTraffic();
  await demoData?.createExperiments();
  await sweep(worker);
  if (stopping || failing) return;
  ready = true;
  printSummary(worker.url, bindings, demo);

  while (sweepSeconds > 0 && !stopping) {
    await new Promise((wake) => setTimeout(wake, sweepSeconds * 1000));
    await demoData?.addTraffic().catch((error: unknown) => {
      consoleLog("error", "demo.failed", { error: describeBug(error) });
    });
    await sweep(worker);
  }
}

/** Sweeps once. A failed request is logged, unless the run is ending, and the next sweep tries again. */
async function sweep(worker: LocalService): Promise<void> {
  const swept = await worker.sweep();
  if (swept.ok) return;
  await noticeExit();
  if (!stopping && !failing) consoleLog("error", "trigger.failed", { error: swept.failure });
}

async function startRuntime(folder: string, port: number, bindings: Readonly<Record<string, string>>) {
  const onStarted = (part: Stoppable) => running.push(part);
  if (process.argv[2] === "deno") return startDeno(folder, port, bindings, onStarted);
  // Miniflare and wrangler are slow to load, so other errors are reported before the import.
  const { startWorker } = await import("./local-worker.ts");
  return ok(await startWorker(folder, port, bindings, onStarted));
}

/** Locks the folder for this run. */
function lockFolder(folder: string): Result<Stoppable, string> {
  try {
    const lock = tryLock(folder, "lock");
    return ok({ stop: async () => lock.release() });
  } catch (error) {
    const reason = isLocked(error) ? "is in use by another run" : `can't be used: ${String(error)}`;
    return failed(`STATE_DIR ${folder} ${reason}. Set STATE_DIR to another folder.`);
  }
}

function printSummary(url: URL, bindings: Readonly<Record<string, string>>, demo: boolean): void {
  const path = demo ? "/v1/experiments/checkout-cta/exposures" : "/v1/experiments";
  console.log(`
edge-exposures is ready on ${url.origin}

  The panel                 ${url.origin}/ (sign in with ADMIN_TOKEN)
  curl -H 'Authorization: Bearer ${bindings["READ_TOKEN"]}' '${url.origin}${path}'

  ADMIN_TOKEN               ${bindings["ADMIN_TOKEN"]}
  READ_TOKEN                ${bindings["READ_TOKEN"]}
  WEBHOOK_SECRET            ${bindings["WEBHOOK_SECRET"]}
  ALERT_WEBHOOK_SECRET      ${bindings["ALERT_WEBHOOK_SECRET"]}
  FLAGSMITH_WEBHOOK_SECRET  ${bindings["FLAGSMITH_WEBHOOK_SECRET"]}
  ClickHouse                ${bindings["CLICKHOUSE_URL"]}
`);
}
