import process from "node:process";
import { consoleLog } from "../log.ts";
import { settingNames } from "../settings.ts";
import { openService, type Service } from "./service.ts";

export type Running = {
  service: Service;
  /** Aborted when the service is told to stop: whoever keeps the process alive lets go of it then. */
  stopping: AbortSignal;
};

/**
 * Opens the service with the process's environment, and closes it at SIGTERM and SIGINT. Deno itself then takes no more
 * connections and sends what is still to be sent; the process ends when nothing is left to do.
 *
 * A service that can't be opened is one line of the log and the end of the process.
 */
export async function runService(): Promise<Running> {
  // One by one, so that the process needs the right to read these and no others.
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
