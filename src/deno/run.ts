import process from "node:process";
import { consoleLog } from "../log.ts";
import { settingNames } from "../settings.ts";
import { openService, type Service } from "./service.ts";

export type Running = {
  service: Service;
  /** Aborted when the service stops, for timers that would keep the process alive. */
  stopping: AbortSignal;
};

/**
 * Opens the service with the process's environment, and closes it on SIGTERM and SIGINT. Deno itself then accepts no more
 * connections and finishes the responses in flight. The process exits when nothing is left to do.
 *
 * If the service can't be opened, the process logs one line and exits with 1.
 */
export async function runService(): Promise<Running> {
  // Variables are read by name, so that the process needs permission for these only.
  const env = Object.fromEntries(settingNames.map((name) => [name, process.env[name]]));
  const service = await openService(env, process.env["STATE_DIR"] || ".state");
  if (!service.ok) {
    consoleLog("error", "settings.invalid", { detail: service.failure });
    return process.exit(1);
  }
  const stopping = new AbortController();
  const stop = async () => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    await service.value.stop();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop());
  return { service: service.value, stopping: stopping.signal };
}
