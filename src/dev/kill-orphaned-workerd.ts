import { ChildProcess, spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { basename } from "node:path";

/** Waits for the end of its input, which comes when the parent ends, and kills the process whose id is its argument. */
const KILL_AT_END_OF_INPUT = 'read -r _; kill -9 "$0"';

/**
 * Makes every workerd that Miniflare starts end with this process, even after SIGKILL. Left behind, it would go on serving
 * the port and writing the state. Miniflare does not expose its processes and replaces a crashed one, so Node's diagnostics
 * channel reports them.
 * @returns a function that stops watching for new processes
 */
export function killOrphanedWorkerd(): () => void {
  const onChildProcess = (message: unknown) => {
    if (typeof message !== "object" || message === null || !("process" in message)) return;
    const child = message.process;
    if (child instanceof ChildProcess) child.once("spawn", () => killWithParent(child));
  };
  subscribe("child_process", onChildProcess);
  return () => void unsubscribe("child_process", onChildProcess);
}

function killWithParent(child: ChildProcess): void {
  if (basename(child.spawnfile) !== "workerd") return;
  const watcher = spawn("sh", ["-c", KILL_AT_END_OF_INPUT, String(child.pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    // A signal to the process group must not end it first.
    detached: true,
  });
  // Without a shell, the process is not watched.
  watcher.once("error", () => undefined);
  // Another process may get the id later.
  child.once("exit", () => watcher.kill("SIGKILL"));
}
