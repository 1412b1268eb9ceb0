import { spawn } from "node:child_process";
import { once } from "node:events";
import { settingNames } from "../settings.ts";
import type { LocalWorker, Stoppable } from "./local-worker.ts";

/**
 * What starts the service, with the rights to just what it needs: port, warehouse, receiver of alerts, folder,
 * migrations, settings.
 */
export function denoCommand(
  stateDir: string,
  port: number,
  bindings: Readonly<Record<string, string>>,
): [command: string, args: string[]] {
  const upstreams = ["CLICKHOUSE_URL", "ALERT_WEBHOOK_URL"].flatMap((setting) => {
    const url = URL.parse(bindings[setting] ?? "");
    return url === null ? [] : [`${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`];
  });
  const rights = [
    "--no-prompt",
    `--allow-net=${[`127.0.0.1:${port}`, ...upstreams].join(",")}`,
    `--allow-read=migrations/d1,${stateDir}`,
    `--allow-write=${stateDir}`,
    `--allow-env=${[...settingNames, "STATE_DIR"].join(",")}`,
  ];
  return [
    "deno",
    ["serve", "--quiet", "--host", "127.0.0.1", "--port", String(port), ...rights, "src/dev/deno-entry.ts"],
  ];
}

/** The same app under Deno, in a process of its own, with its SQLite file in `stateDir`. */
export async function startDeno(
  stateDir: string,
  port: number,
  bindings: Readonly<Record<string, string>>,
  onStarted: (part: Stoppable) => void,
): Promise<LocalWorker> {
  const [command, args] = denoCommand(stateDir, port, bindings);
  const child = spawn(command, args, {
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
