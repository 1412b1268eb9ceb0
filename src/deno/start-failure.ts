import { describeBug, rootMessage } from "../log.ts";

/** A reason why the service can't start. `detail` is one line that states the problem and the action. */
export type StartFailure = { event: "settings.invalid" | "service.failed"; detail: string };

export function invalidSettings(detail: string): StartFailure {
  return { event: "settings.invalid", detail };
}

export function serviceFailed(detail: string): StartFailure {
  return { event: "service.failed", detail };
}

export function unusableFolder(stateDir: string, error: unknown): StartFailure {
  return invalidSettings(`STATE_DIR ${stateDir} is not usable. Check its path and permissions: ${rootMessage(error)}`);
}

export const PORT_IN_USE = "PORT is in use. End the process that listens on it, or set PORT to another port.";

/** Explains an error that nothing has caught. `deno serve` itself opens the port, and rejects if it can't. */
export function describeUncaught(error: unknown): StartFailure {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (name === "AddrInUse") return serviceFailed(PORT_IN_USE);
  if (name === "AddrNotAvailable" || message.startsWith("failed to lookup address"))
    return serviceFailed("HOST is not an address of this machine. Set HOST to one, or to 0.0.0.0 for all of them.");
  if (name === "PermissionDenied")
    return serviceFailed(`The service may not listen on PORT. Set PORT to 1024 or higher: ${message}`);
  return serviceFailed(describeBug(error));
}
