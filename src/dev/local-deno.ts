import { spawn } from "node:child_process";
import { once } from "node:events";
import { serveArguments } from "../deno/serve-arguments.ts";
import type { LocalWorker, Stoppable } from "./local-worker.ts";

/** The command that runs the service for the local run and the tests. */
export function denoCommand(
  stateDir: string,
  port: number,
  bindings: Readonly<Record<string, string>>,
): [command: string, args: string[]] {
  const args = serveArguments({ host: "127.0.0.1", port, stateDir, env: bindings });
  return ["deno", [...args, "--quiet", "src/dev/deno-entry.ts"]];
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
