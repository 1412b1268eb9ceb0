import { spawn } from "node:child_process";
import { once } from "node:events";
import { serveArguments } from "../deno/serve-arguments.ts";
import type { LocalWorker, Stoppable } from "./local-worker.ts";

/** Returns the command that starts the service in local runs and tests. */
export function denoCommand(
  stateDir: string,
  port: number,
  bindings: Readonly<Record<string, string>>,
): [command: string, args: string[]] {
  const args = serveArguments({ host: "127.0.0.1", port, stateDir, env: bindings });
  return ["deno", [...args, "--quiet", "src/dev/deno-entry.ts"]];
}

/**
 * Starts the app under Deno in a child process, with its SQLite file in `stateDir`.
 * @param onStarted receives the process as soon as it runs
 */
export async function startDeno(
  stateDir: string,
  port: number,
  bindings: Readonly<Record<string, string>>,
  onStarted: (process: Stoppable) => void,
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
    const response = await Promise.race([ended, fetch(new URL("/healthz", url)).catch(() => null)]);
    if (response === "ended") throw new Error("Deno exited during startup. Its output above states the reason.");
    if (response?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const trigger = new URL("/cdn-cgi/local/scheduled", url);
  return { url, sweep: async () => void (await fetch(trigger)).body?.cancel() };
}
