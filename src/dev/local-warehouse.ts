import { fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
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

/** The Worker only reads; who fills a warehouse needs a client of their own. */
export function connectForWriting(settings: WarehouseSettings) {
  return createClient(connectionOptions(settings));
}
