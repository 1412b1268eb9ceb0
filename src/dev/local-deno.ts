import { spawn } from "node:child_process";
import { once } from "node:events";
import { settingNames } from "../settings.ts";
import type { LocalWorker, Stoppable } from "./local-worker.ts";

/** Just what the service needs: its port, the warehouse, its folder, the migrations, and the settings. */
export function denoRights(stateDir: string, port: number, warehouse: URL): string[] {
  const warehousePort = warehouse.port || (warehouse.protocol === "https:" ? "443" : "80");
  return [
    "--no-prompt",
    `--allow-net=127.0.0.1:${port},${warehouse.hostname}:${warehousePort}`,
    `--allow-read=migrations/d1,${stateDir}`,
    `--allow-write=${stateDir}`,
    `--allow-env=${[...settingNames, "STATE_DIR"].join(",")}`,
  ];
}

/** The same app under Deno, in a process of its own, with its SQLite file in `stateDir`. */
export async function startDeno(
  stateDir: string,
  port: number,
  bindings: Readonly<Record<string, string>>,
  onStarted: (part: Stoppable) => void,
): Promise<LocalWorker> {
  const rights = denoRights(stateDir, port, new URL(bindings["CLICKHOUSE_URL"] ?? ""));
  const address = ["--quiet", "--host", "127.0.0.1", "--port", String(port)];
  const child = spawn("deno", ["serve", ...rights, ...address, "src/dev/deno-entry.ts"], {
    env: { ...process.env, ...bindings, STATE_DIR: stateDir },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const exited = once(child, "exit");
  onStarted({
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  });

  const url = new URL(`http://127.0.0.1:${port}`);
  const ended = exited.then(() => "ended" as const);
  for (;;) {
    const answer = await Promise.race([ended, fetch(new URL("/healthz", url)).catch(() => null)]);
    if (answer === "ended") throw new Error("Deno has ended while it started");
    if (answer?.ok) break;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  const trigger = new URL("/cdn-cgi/local/scheduled", url);
  return { url, sweep: async () => void (await fetch(trigger)).body?.cancel() };
}
