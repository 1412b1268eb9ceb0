import { fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@clickhouse/client-web";
import { failed, ok, type Result } from "../result.ts";
import type { WarehouseSettings } from "../settings.ts";
import { connectionOptions } from "../warehouse/client.ts";
import type { WarehouseOptions, WarehouseReport } from "./warehouse-process.ts";

export type LocalWarehouse = {
  url: URL;
  stop(): Promise<void>;
  /** Resolves when the process exits, after `stop` or by itself. */
  exited: Promise<unknown>;
};

/** Starts the embedded warehouse in a child process. A failure is one line that states the reason. */
export async function startWarehouse(options: WarehouseOptions): Promise<Result<LocalWarehouse, string>> {
  const child = fork(new URL("./warehouse-process.ts", import.meta.url), {
    // TZ makes times without a zone UTC. Queries run on libuv's thread pool, whose default of four threads would limit
    // them to four at a time.
    env: { ...process.env, TZ: "UTC", UV_THREADPOOL_SIZE: "16" },
  });
  const exited = once(child, "exit");
  child.send(options);
  const report = await Promise.race([
    once(child, "message").then(([message]: WarehouseReport[]) => message),
    exited.then(() => undefined),
  ]);
  if (report?.kind !== "ready") {
    child.kill("SIGTERM");
    return failed(
      report?.reason ??
        "the embedded warehouse exited during startup. Its output above states the reason. Start again, or set CLICKHOUSE_URL to your own ClickHouse.",
    );
  }
  return ok({
    url: new URL(`http://127.0.0.1:${report.port}`),
    exited,
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  });
}

/** Creates the database and its events table if they are missing. With `withStates`, also the tables and views for states. */
export async function prepareWarehouse(settings: WarehouseSettings, withStates = false): Promise<void> {
  const server = connectForWriting({ ...settings, database: "default" });
  await server.command({
    query: "CREATE DATABASE IF NOT EXISTS {database:Identifier}",
    query_params: { database: settings.database },
  });
  const client = connectForWriting(settings);
  const folder = "migrations/clickhouse";
  const [events = "", ...states] = readdirSync(folder)
    .sort()
    .map((name) => readFileSync(join(folder, name), "utf8"));
  await client.command({ query: events });
  if (settings.table !== "events") {
    const query = "CREATE TABLE IF NOT EXISTS {table:Identifier} AS events";
    await client.command({ query, query_params: { table: settings.table } });
  }
  if (!withStates) return;
  const table = `\`${settings.table.replaceAll(/[`\\]/g, "\\$&")}\``;
  for (const query of states)
    await client.command({ query: query.replace("FROM events AS", () => `FROM ${table} AS`) });
}

/** Connects a client that may write, which the Worker's own read-only client can't. */
export function connectForWriting(settings: WarehouseSettings) {
  return createClient(connectionOptions(settings));
}
