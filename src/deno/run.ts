import process from "node:process";
import { consoleLog } from "../log.ts";
import { isLoopback } from "../setting-types.ts";
import { settingNames } from "../settings.ts";
import { openService, type Service } from "./service.ts";
import { describeUncaught, invalidSettings, type StartFailure } from "./start-failure.ts";

export type Running = {
  service: Service;
  /** Aborted when the service stops, for timers that would keep the process alive. */
  stopping: AbortSignal;
  /** Logs the address of the server. If the secrets are too short for it, logs them instead, and exits with 1. */
  onListen(address: { hostname: string; port: number }): void;
};

/**
 * Opens the service with the process's environment, and closes it on SIGTERM and SIGINT. Deno itself then accepts no more
 * connections and finishes the responses in flight. The process exits when nothing is left to do.
 *
 * If the service can't be opened, the process logs one line and exits with 1. So it does if `deno serve` can't listen, or
 * if a bug rejects a promise that nothing awaits.
 */
export async function runService(): Promise<Running> {
  process.on("unhandledRejection", (error) => exitWith(describeUncaught(error)));
  // Variables are read by name, so that the process needs permission for these only.
  const env = Object.fromEntries(settingNames.map((name) => [name, process.env[name]]));
  const service = await openService(env, process.env["STATE_DIR"] || ".state");
  if (!service.ok) return exitWith(service.failure);
  const { shortSecrets } = service.value;
  const onListen: Running["onListen"] = ({ hostname, port }) => {
    if (shortSecrets !== "" && !isLoopback(hostname)) exitWith(invalidSettings(shortSecrets));
    consoleLog("info", "service.listening", {
      url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`,
    });
  };
  const stopping = new AbortController();
  const stop = async () => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    await service.value.stop();
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop());
  return { service: service.value, stopping: stopping.signal, onListen };
}

function exitWith({ event, detail }: StartFailure): never {
  consoleLog("error", event, { detail });
  return process.exit(1);
}
