import { readFileSync } from "node:fs";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { Result } from "../result.ts";
import { buildWorker } from "./build-worker.ts";
import { killOrphanedWorkerd } from "./kill-orphaned-workerd.ts";
import { migrateD1, miniflareOptions } from "./local-d1.ts";
import { fireTrigger, TRIGGER_PATH } from "./trigger.ts";

export type LocalService = {
  url: URL;
  /** Fires the Cron Trigger, and resolves when the sweep has ended, even if it failed. Fails if the request gets no response. */
  sweep(): Promise<Result<null, string>>;
  /** Resolves with a line that says how the process exited, after `stop` or by itself. */
  exited?: Promise<string>;
};

/** A started part that must not outlive this process. */
export type Stoppable = { stop(): Promise<void> };

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
): Promise<LocalService> {
  const { script, options, emptyD1 } = await buildWorker();
  await migrateD1(stateDir, emptyD1);
  const stopWatching = killOrphanedWorkerd();
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...miniflareOptions(stateDir),
      port,
      unsafeTriggerHandlers: true,
      handleStructuredLogs: onLog,
      workers: [
        {
          ...options,
          name: "edge-exposures",
          modules: [{ type: "ESModule", path: "worker.js", contents: readFileSync(script, "utf8") }],
          bindings,
        },
      ],
    }),
  );
  onStarted({
    async stop() {
      await miniflare.dispose();
      stopWatching();
    },
  });
  const url = await miniflare.ready;
  const trigger = new URL(TRIGGER_PATH, url);
  return { url, sweep: () => fireTrigger(trigger) };
}

function printLine({ level, message }: { level: string; message: string }): void {
  console[level === "error" ? "error" : "log"](message);
}
