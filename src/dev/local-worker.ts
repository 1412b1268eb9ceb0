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
  /** Fires the Cron Trigger and resolves when the sweep has ended, well or not. */
  sweep(): Promise<void>;
};

/** A process that must not outlive this one. */
export type Stoppable = { stop(): Promise<void> };

const CONFIG = "wrangler.toml";

/**
 * The Worker as it is deployed, in workerd, with the bindings of wrangler.toml and its state in `stateDir`. Built by
 * wrangler, run by bare Miniflare: nothing stands between a caller and the Worker.
 * @param onStarted hears of each process as soon as it runs
 * @param onLog gets each line of the Worker's log
 */
export async function startWorker(
  stateDir: string,
  port: number,
  bindings: Readonly<Record<string, string>>,
  onStarted: (part: Stoppable) => void,
  onLog: (line: { level: string; message: string }) => void = printLine,
): Promise<LocalWorker> {
  const outDir = join(stateDir, "worker");
  const building = promisify(execFile)("wrangler", ["deploy", "--dry-run", "--outdir", outDir], {
    env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
  });
  onStarted({ stop: async () => void building.child.kill() });
  await building;
  const { workerOptions } = unstable_getMiniflareWorkerOptions(CONFIG);
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port,
      cf: false,
      log: new NoOpLog(),
      resourcePersistencePath: stateDir,
      unsafeTriggerHandlers: true,
      handleStructuredLogs: onLog,
      workers: [
        {
          ...workerOptions,
          name: "edge-exposures",
          modules: [{ type: "ESModule", path: "worker.js", contents: readFileSync(join(outDir, "worker.js"), "utf8") }],
          bindings,
        },
      ],
    }),
  );
  onStarted({ stop: () => miniflare.dispose() });
  await migrate(openD1(await miniflare.getD1Database("DB")), readMigrations("migrations/d1"));
  const url = await miniflare.ready;
  const trigger = new URL("/cdn-cgi/local/scheduled", url);
  return { url, sweep: () => fire(trigger) };
}

/** By no fetch: that waits for five minutes and no longer, and a sweep may take up to fifteen. */
function fire(trigger: URL): Promise<void> {
  return new Promise((resolve, reject) => {
    get(trigger, (answer) => answer.resume().on("end", resolve)).on("error", reject);
  });
}

function printLine({ level, message }: { level: string; message: string }): void {
  console[level === "error" ? "error" : "log"](message);
}
