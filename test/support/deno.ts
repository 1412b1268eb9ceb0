import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { denoCommand } from "../../src/dev/local-deno.ts";
import { freePort } from "./free-port.ts";
import { createSqliteReader, writeSqlite } from "./read-sqlite.ts";

/** Runs the app under Deno, with the permissions of a real run and an empty SQLite file. */
export async function startDeno(vars: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-deno-"));
  const port = await freePort();
  const url = new URL(`http://127.0.0.1:${port}`);
  const file = join(folder, "edge-exposures.sqlite");
  const { select, close } = createSqliteReader(file);
  let lines: string[] = [];
  let child: ChildProcess;
  await run();

  async function run(overrides: Record<string, string> = {}): Promise<void> {
    const [command, args] = denoCommand(folder, port, { ...vars, ...overrides });
    const started = spawn(command, args, {
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...vars, ...overrides, STATE_DIR: folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child = started;
    const kill = () => started.kill("SIGKILL");
    process.once("exit", kill);
    started.once("exit", () => process.off("exit", kill));
    for (const stream of [started.stdout, started.stderr])
      createInterface(stream).on("line", (line) => lines.push(line));
    for (;;) {
      const response = await fetch(new URL("/healthz", url)).catch(() => null);
      if (response?.ok) return;
      if (started.exitCode !== null) throw new Error(`Deno exited during startup: ${lines.join("\n")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends a signal, and resolves with the exit code. */
  async function end(signal: NodeJS.Signals): Promise<number | null> {
    const exited = once(child, "exit");
    child.kill(signal);
    const [code] = await exited;
    close();
    return code;
  }

  /** Kills the whole process, and starts it again on the same state. */
  async function restart(overrides: Record<string, string> = {}): Promise<void> {
    await end("SIGKILL");
    await run(overrides);
  }

  return {
    url,
    select,
    /** Runs a statement in the database. */
    execute: async (sql: string) => writeSqlite(file, sql),
    run,
    end,
    file,
    fetch: (path: string, init: RequestInit & { duplex?: "half" }) => fetch(new URL(path, url), init),
    trigger: async (at: number) => (await fetch(new URL(`/cdn-cgi/local/scheduled?time=${at}`, url))).ok,
    lines: () => lines,
    clearLines: () => {
      lines = [];
    },
    restart,
    crash: (_experimentId: string) => restart(),
    /** Reads the database directly, not through the service. */
    query: select,
    async stop() {
      await end("SIGTERM");
      rmSync(folder, { recursive: true });
    },
  };
}
