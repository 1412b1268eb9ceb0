import { once } from "node:events";
import { mkdirSync } from "node:fs";
import type { Engine } from "./engine.ts";
import type { WarehouseUser } from "./warehouse-server.ts";

// Runs the embedded warehouse in a child process, so that the local run can report a crash of the engine and stop cleanly.
// The parent sends the options over the IPC channel and receives one report. The process exits when the channel closes.

export type WarehouseOptions = { folder: string; port: number; users: WarehouseUser[] };
export type WarehouseReport = { kind: "ready"; port: number; version: string } | { kind: "failed"; reason: string };

/** Sends a report, and ignores the error if the parent has exited. */
const report = (message: WarehouseReport) => process.send?.(message, undefined, {}, () => undefined);
let stop = async (): Promise<void> => process.exit(0);
process.once("disconnect", () => void stop());
process.once("SIGTERM", () => void stop());
// Ctrl-C reaches the whole process group, but only the parent stops this process.
process.on("SIGINT", () => undefined);

const [options] = (await once(process, "message")) as [WarehouseOptions];
const engine = await openEngine(options.folder);
if (typeof engine === "string") {
  report({ kind: "failed", reason: engine });
} else {
  const { createWarehouse } = await import("./warehouse-server.ts");
  const server = createWarehouse(engine, options.users);
  server.once("error", (error) => report({ kind: "failed", reason: error.message }));
  server.listen(options.port, "127.0.0.1", () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : options.port;
    report({ kind: "ready", port, version: engine.version });
  });
  stop = async () => {
    server.close();
    server.closeAllConnections();
    await engine.close();
    process.exit(0);
  };
}

/** Opens the engine, or returns the reason why it can't be opened. */
async function openEngine(folder: string): Promise<Engine | string> {
  try {
    mkdirSync(folder, { recursive: true });
    const { openEngine } = await import("./engine.ts");
    return openEngine(folder);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const missing = /chdb/.test(text) && /Cannot find|no native binding/i.test(text);
    return missing
      ? `the ClickHouse engine (npm package chdb) is not installed for ${process.platform}-${process.arch}. Run npm install, or set CLICKHOUSE_URL to your own ClickHouse.`
      : `the ClickHouse engine can't open ${folder}: ${text.split("\n")[0]}`;
  }
}
