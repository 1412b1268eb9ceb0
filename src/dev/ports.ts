import { once } from "node:events";
import { connect } from "node:net";

/** Probes a port by connecting to it. A probe that listens would accept connections that nothing serves. */
export async function isFree(port: number): Promise<boolean> {
  const probe = connect(port, "127.0.0.1");
  try {
    await once(probe, "connect");
    return false;
  } catch {
    return true;
  } finally {
    probe.destroy();
  }
}

/** @param variable the name of the variable that sets the port */
export function describePortInUse(variable: string, port: number): string {
  return `port ${port} is in use. Set ${variable} to another port.`;
}
