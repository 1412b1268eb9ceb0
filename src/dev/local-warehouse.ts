import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@clickhouse/client-web";
import { failed, ok, type Result } from "../result.ts";
import type { WarehouseSettings } from "../settings.ts";
import { connectionOptions } from "../warehouse/client.ts";
import type { WarehouseOrder, WarehouseReport } from "./warehouse-process.ts";

export type LocalWarehouse = {
  url: URL;
  stop(): Promise<void>;
  /** Resolves when its process has ended, asked to or not. */
  ended: Promise<unknown>;
};

/** Starts the embedded warehouse in a process of its own; fails with one line that says why not. */
export async function startWarehouse(order: WarehouseOrder): Promise<Result<LocalWarehouse, string>> {
  const child = fork(new URL("./warehouse-process.ts", import.meta.url), {
    // Times without a zone are UTC, whatever this machine's zone. And queries run on libuv's threads: without more of
    // them, four at most would run side by side.
    env: { ...process.env, TZ: "UTC", UV_THREADPOOL_SIZE: "16" },
  });
  const exited = once(child, "exit");
  child.send(order);
  const report = await Promise.race([
    once(child, "message").then(([message]: WarehouseReport[]) => message),
    exited.then(() => undefined),
  ]);
  if (report?.kind !== "ready") {
    child.kill("SIGTERM");
    return failed(report?.reason ?? "the embedded warehouse ended while it started");
  }
  return ok({
    url: new URL(`http://127.0.0.1:${report.port}`),
    ended: exited,
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  });
}

/** Makes the database, its events table and, if need be, what keeps states, where they are not there yet. */
export async function prepareWarehouse(settings: WarehouseSettings, withStates = false): Promise<void> {
  const server = connectForWriting({ ...settings, database: "default" });
  await server.command({
    query: "CREATE DATABASE IF NOT EXISTS {database:Identifier}",
    query_params: { database: settings.database },
  });
  const client = connectForWriting(settings);
  await runStatements(client, "0001_events.sql");
  if (settings.table !== "events") {
    const query = "CREATE TABLE IF NOT EXISTS {table:Identifier} AS events";
    await client.command({ query, query_params: { table: settings.table } });
  }
  if (withStates) await runStatements(client, "0002_states.sql", settings.table);
}

/** A migration, as an operator runs it: with the name of their events table in it. */
async function runStatements(client: ReturnType<typeof connectForWriting>, name: string, table = "events") {
  const quoted = `\`${table.replaceAll(/[`\\]/g, "\\$&")}\``;
  const sql = readFileSync(join("migrations/clickhouse", name), "utf8").replace("FROM events AS", `FROM ${quoted} AS`);
  for (const statement of sql.split(/;$/m)) if (statement.trim() !== "") await client.command({ query: statement });
}

/** The Worker only reads; who fills a warehouse needs a client of their own. */
export function connectForWriting(settings: WarehouseSettings) {
  return createClient(connectionOptions(settings));
}
