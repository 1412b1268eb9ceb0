import { once } from "node:events";
import { mkdirSync } from "node:fs";
import type { Engine } from "./engine.ts";
import type { WarehouseUser } from "./warehouse-server.ts";

// The embedded warehouse as a process of its own: an engine takes one folder and a good deal of memory, and its end
// must not take the Worker along. Whoever forked it tells it what to do and hears how it went over the channel; it
// ends with its parent.

export type WarehouseOrder = { folder: string; port: number; users: WarehouseUser[] };
export type WarehouseReport = { kind: "ready"; port: number; version: string } | { kind: "failed"; reason: string };

/** To nobody, if the parent is gone by now. */
const report = (message: WarehouseReport) => process.send?.(message, undefined, {}, () => undefined);
let stop = async (): Promise<void> => process.exit(0);
process.once("disconnect", () => void stop());
process.once("SIGTERM", () => void stop());
// Ctrl-C reaches the whole process group: the parent decides when this one ends.
process.on("SIGINT", () => undefined);

const [order] = (await once(process, "message")) as [WarehouseOrder];
const engine = await openEngine(order.folder);
if (typeof engine === "string") {
  report({ kind: "failed", reason: engine });
} else {
  const { createWarehouse } = await import("./warehouse-server.ts");
  const server = createWarehouse(engine, order.users);
  server.once("error", (error) => report({ kind: "failed", reason: error.message }));
  server.listen(order.port, "127.0.0.1", () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : order.port;
    report({ kind: "ready", port, version: engine.version });
  });
  stop = async () => {
    server.close();
    server.closeAllConnections();
    await engine.close();
    process.exit(0);
  };
}

/** The engine, or why there is none. */
async function openEngine(folder: string): Promise<Engine | string> {
  try {
    mkdirSync(folder, { recursive: true });
    const { openEngine } = await import("./engine.ts");
    return openEngine(folder);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const missing = /chdb/.test(text) && /Cannot find|no native binding/i.test(text);
    return missing
      ? `the ClickHouse engine (npm's chdb) is not installed for ${process.platform}-${process.arch}: run npm install, or set CLICKHOUSE_URL to a ClickHouse of your own`
      : `the ClickHouse engine does not start on ${folder}: ${text.split("\n")[0]}`;
  }
}
