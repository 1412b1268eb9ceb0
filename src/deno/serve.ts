import { spawn } from "node:child_process";
import process from "node:process";
import { consoleLog } from "../log.ts";
import { readServeOptions, type ServeOptions, serveArguments } from "./serve-arguments.ts";

// The task `start` of deno.json. It computes the permissions of the service from the environment, runs the service as a
// child process, forwards signals to it, and ends with its exit code.

const options = readServeOptions(process.env);
if (options.ok) {
  serve(options.value);
} else {
  consoleLog("error", "settings.invalid", { detail: options.failure });
  process.exitCode = 1;
}

function serve(serveOptions: ServeOptions): void {
  const child = spawn(
    process.execPath,
    [
      ...serveArguments(serveOptions),
      ...["--config", "src/deno/deno.json", "--frozen", "--unstable-cron", "src/deno.ts"],
    ],
    { stdio: "inherit" },
  );
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // After child.kill(), Deno would report the signal instead of the exit code.
    process.on(signal, () => child.pid !== undefined && process.kill(child.pid, signal));
  }
  child.on("exit", (code) => process.exit(code ?? 1));
}
