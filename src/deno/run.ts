import process from "node:process";
import { consoleLog } from "../log.ts";
import { settingNames } from "../settings.ts";
import { openService, type Service } from "./service.ts";

/**
 * Opens the service with the process's environment and closes it at SIGTERM and SIGINT. A service that can't be opened
 * is one line of the log and the end of the process.
 */
export async function runService(): Promise<Service> {
  // One by one, so that the process needs the right to read these and no others.
  const env = Object.fromEntries(settingNames.map((name) => [name, process.env[name]]));
  const service = await openService(env, process.env["STATE_DIR"] || ".state");
  if (!service.ok) {
    consoleLog("error", "settings.invalid", { detail: service.failure });
    return process.exit(1);
  }
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    await service.value.stop();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop());
  return service.value;
}
