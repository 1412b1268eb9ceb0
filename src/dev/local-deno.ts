import { spawn } from "node:child_process";
import { once } from "node:events";
import { serveArguments } from "../deno/serve-arguments.ts";
import { PORT_IN_USE } from "../deno/start-failure.ts";
import { failed, ok, type Result } from "../result.ts";
import type { LocalService, Stoppable } from "./local-worker.ts";
import { describePortInUse } from "./ports.ts";
import { fireTrigger, TRIGGER_PATH } from "./trigger.ts";

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
 * Starts the app under Deno in a child process, with its SQLite file in `stateDir`. A failure is one line
 * that states the reason.
 * @param onStarted receives the process as soon as it runs
 */
export async function startDeno(
  stateDir: string,
  port: number,
  bindings: Readonly<Record<string, string>>,
  onStarted: (process: Stoppable) => void,
): Promise<Result<LocalService, string>> {
  const [command, args] = denoCommand(stateDir, port, bindings);
  const child = spawn(command, args, {
    env: { ...process.env, ...bindings, STATE_DIR: stateDir },
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  const closed = once(child, "close");
  onStarted({
    async stop() {
      child.kill("SIGTERM");
      await closed;
    },
  });
  // The output of the startup is held back, because the run itself reports a port in use.
  let held: string[] | null = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    if (held === null) process.stderr.write(text);
    else held.push(text);
  });

  // Only the child's own report counts, because another process may answer on the port.
  const outcome = await Promise.race([
    once(child, "message").then(() => "listening" as const),
    closed.then(() => "closed" as const),
  ]);
  const output = held.join("");
  held = null;
  if (outcome === "closed" && output.includes(PORT_IN_USE)) return failed(describePortInUse("PORT", port));
  process.stderr.write(output);
  if (outcome === "closed") return failed("Deno exited during startup. Its output above states the reason.");

  const url = new URL(`http://127.0.0.1:${port}`);
  const trigger = new URL(TRIGGER_PATH, url);
  return ok({
    url,
    sweep: () => fireTrigger(trigger),
    exited: closed.then(([code, signal]) => `Deno exited with ${signal ?? code}.`),
  });
}
