import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { openD1 } from "../cloudflare/d1.ts";
import { readMigrations } from "../deno/read-migrations.ts";
import { migrate } from "../store/migrations.ts";

export type LocalWorker = {
  url: URL;
  /** Fires the Cron Trigger, and resolves when the sweep has ended, even if it failed. */
  sweep(): Promise<void>;
};

/** A started part that must not outlive this process. */
export type Stoppable = { stop(): Promise<void> };

const CONFIG = "wrangler.toml";

type OnStarted = (part: Stoppable) => void;

/**
 * Runs the Worker as deployed, in workerd, with the bindings of wrangler.toml and its state in `stateDir`. Wrangler builds
 * it and Miniflare runs it, because the dev server of wrangler would put a proxy in front of it.
 * @param onStarted receives each process as soon as it runs
 * @param onLog receives each log line of the Worker
 */
export async function startWorker(
  stateDir: string,
  port: number,
  bindings: Readonly<Record<string, string>>,
  onStarted: OnStarted,
  onLog: (line: { level: string; message: string }) => void = printLine,
): Promise<LocalWorker> {
  const { workerOptions } = unstable_getMiniflareWorkerOptions(CONFIG);
  const [contents] = await Promise.all([
    build(join(stateDir, "worker")),
    migrateState(stateDir, workerOptions, onStarted),
  ]);
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...sharedOptions(stateDir),
      port,
      unsafeTriggerHandlers: true,
      handleStructuredLogs: onLog,
      workers: [
        {
          ...workerOptions,
          name: "edge-exposures",
          modules: [{ type: "ESModule", path: "worker.js", contents }],
          bindings,
        },
      ],
    }),
  );
  onStarted({ stop: () => miniflare.dispose() });
  const url = await miniflare.ready;
  const trigger = new URL("/cdn-cgi/local/scheduled", url);
  return { url, sweep: () => fire(trigger) };
}

function sharedOptions(resourcePersistencePath: string) {
  return { host: "127.0.0.1", cf: false, log: new NoOpLog(), resourcePersistencePath } as const;
}

/** Builds the Worker with wrangler and returns its code. */
async function build(outDir: string): Promise<string> {
  const building = promisify(execFile)("wrangler", ["deploy", "--dry-run", "--outdir", outDir], {
    env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
  });
  // Miniflare exits this process on a signal, so nothing else could kill the build.
  const kill = () => building.child.kill();
  process.once("exit", kill);
  await building.finally(() => process.off("exit", kill));
  return readFileSync(join(outDir, "worker.js"), "utf8");
}

type WorkerOptions = ReturnType<typeof unstable_getMiniflareWorkerOptions>["workerOptions"];

/**
 * Migrates the database in a separate workerd, during the build. Miniflare reaches a database only while its port is open,
 * and on the Worker's port clients would get a 503 before the migration ends.
 */
async function migrateState(stateDir: string, workerOptions: WorkerOptions, onStarted: OnStarted): Promise<void> {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...sharedOptions(stateDir),
      port: 0,
      workers: [
        {
          ...workerOptions,
          name: "migrations",
          modules: [{ type: "ESModule", path: "worker.js", contents: "export default {}" }],
          durableObjects: {},
        },
      ],
    }),
  );
  onStarted({ stop: () => miniflare.dispose() });
  await migrate(openD1(await miniflare.getD1Database("DB")), readMigrations("migrations/d1"));
  await miniflare.dispose();
}

/** Requests a URL without fetch, whose timeout is five minutes. A sweep may take fifteen. */
function fire(trigger: URL): Promise<void> {
  return new Promise((resolve, reject) => {
    get(trigger, (response) => response.resume().on("end", resolve)).on("error", reject);
  });
}

function printLine({ level, message }: { level: string; message: string }): void {
  console[level === "error" ? "error" : "log"](message);
}
