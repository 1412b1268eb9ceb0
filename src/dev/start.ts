import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { consoleLog, describeBug } from "../log.ts";
import { failed, ok, type Result } from "../result.ts";
import { adviceFor } from "../warehouse/advice.ts";
import { connectWarehouse } from "../warehouse/client.ts";
import { createDemo } from "./demo.ts";
import { startDeno } from "./local-deno.ts";
import { prepareWarehouse, startWarehouse } from "./local-warehouse.ts";
import type { Stoppable } from "./local-worker.ts";
import { type Options, readOptions } from "./options.ts";

// `npm start` and `npm run start:deno` run the warehouse and the Worker (or the app under Deno) on this machine, until
// SIGINT or SIGTERM.

/** The started parts, in start order. They stop in reverse order. */
const running: Stoppable[] = [];
let ready = false;
let stopping = false;

async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  for (const part of running.reverse()) await part.stop().catch(() => undefined);
  process.exit(code);
}

/** Logs one clear line instead of a stack, and stops. */
async function giveUp(reason: string): Promise<void> {
  // Ctrl-C also reaches the children, whose exit may be noticed before the signal.
  await new Promise((wake) => setTimeout(wake, 100));
  if (!stopping) console.error(`edge-exposures can't ${ready ? "continue" : "start"}: ${reason}`);
  return stop(1);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void stop(0));

const options = readOptions(process.env);
if (options.ok) await start(options.value).catch((error: unknown) => giveUp(String(error)));
else await giveUp(options.failure);

async function start({ port, warehousePort, stateDir, demo, sweepSeconds, embedded, bindings, settings }: Options) {
  const folder = resolve(stateDir);
  const locked = lockFolder(folder);
  if (!locked.ok) return giveUp(locked.failure);
  running.push(locked.value);
  if (!(await isFree(port))) return giveUp(`port ${port} is in use. Set PORT to another port.`);
  const { warehouse } = settings;

  if (embedded) {
    if (!(await isFree(warehousePort)))
      return giveUp(`port ${warehousePort} is in use. Set WAREHOUSE_PORT to another port.`);
    const users = [{ name: warehouse.user, password: warehouse.password, readonly: 0 as const }];
    const started = await startWarehouse({ folder: resolve(folder, "warehouse"), port: warehousePort, users });
    if (!started.ok) return giveUp(started.failure);
    running.push(started.value);
    void started.value.exited.then(() => giveUp("the embedded warehouse exited"));
    await prepareWarehouse(warehouse, settings.states !== null);
  } else {
    const probe = await connectWarehouse(warehouse).select("SELECT 1 AS one", {});
    if (!probe.ok) return giveUp(`CLICKHOUSE_URL: ${adviceFor(probe.failure)}`);
  }

  // Miniflare and wrangler are slow to load, so errors above are reported before the import.
  const startRuntime = process.argv[2] === "deno" ? startDeno : (await import("./local-worker.ts")).startWorker;
  const worker = await startRuntime(folder, port, bindings, (part) => running.push(part));
  const demoData = demo ? createDemo(warehouse, worker.url, settings.adminToken ?? "") : null;
  await demoData?.addTraffic();
  await demoData?.createExperiments();
  await worker.sweep();
  ready = true;
  printSummary(worker.url, bindings, demo);

  while (sweepSeconds > 0 && !stopping) {
    await new Promise((wake) => setTimeout(wake, sweepSeconds * 1000));
    await demoData?.addTraffic().catch((error: unknown) => {
      consoleLog("error", "demo.failed", { error: describeBug(error) });
    });
    await worker.sweep();
  }
}

/** Locks the folder for this process. The lock on a SQLite file ends with its process, even after SIGKILL. */
function lockFolder(folder: string): Result<Stoppable, string> {
  try {
    mkdirSync(folder, { recursive: true });
    const lock = new DatabaseSync(resolve(folder, "lock"));
    lock.exec("BEGIN EXCLUSIVE");
    return ok({ stop: async () => lock.close() });
  } catch (error) {
    const isLocked = error instanceof Error && error.message === "database is locked";
    const reason = isLocked ? "is in use by another run" : `can't be used: ${String(error)}`;
    return failed(`STATE_DIR ${folder} ${reason}. Set STATE_DIR to another folder.`);
  }
}

/** Probes a port by connecting to it. A probe that listens would accept connections that nothing serves. */
async function isFree(port: number): Promise<boolean> {
  const probe = connect(port, "127.0.0.1");
  try {
    await once(probe, "connect");
    return false;
  } catch {
    return true;
  } finally {
    probe.destroy();
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
