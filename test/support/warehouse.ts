import { randomUUID } from "node:crypto";
import { inject } from "vitest";
import { connectForWriting, prepareWarehouse } from "../../src/dev/local-warehouse.ts";
import type { WarehouseSettings } from "../../src/settings.ts";
import { users } from "./users.ts";

/** An exposure event. Omitted fields get defaults. */
export type Event = {
  environment_key: string;
  feature_name: string;
  event?: string;
  /** Epoch milliseconds. */
  timestamp: number;
  /** Epoch milliseconds. */
  collected_at?: number;
  identifier: string;
  value: string;
  /** JSON text. */
  traits?: string;
  sdk_language?: string;
  sdk_version?: string;
};

/** Creates a database with an empty events table in the real engine. With `states`, it also has the tables for states. */
export async function createWarehouse({ states = false } = {}) {
  const settings: WarehouseSettings = {
    url: new URL(inject("warehouseUrl")),
    database: `test_${randomUUID().replaceAll("-", "")}`,
    user: users.owner.name,
    password: users.owner.password,
    table: "events",
    queryTimeoutMs: 30_000,
  };
  await prepareWarehouse(settings, states);
  const client = connectForWriting(settings);

  /** Inserts events in the given order. By default `collected_at` is half a second after `timestamp`. */
  async function insert(events: readonly Event[], table = settings.table): Promise<void> {
    if (events.length === 0) return;
    await client.insert({
      table,
      format: "JSONEachRow",
      values: events.map((event) => ({
        event: "$flag_exposure",
        traits: "{}",
        metadata: "{}",
        sdk_language: "javascript",
        sdk_version: "1.0.0",
        ...event,
        timestamp: utc(event.timestamp),
        collected_at: utc(event.collected_at ?? event.timestamp + 500),
      })),
    });
  }

  const command = (query: string) => client.command({ query });
  const select = async (query: string) => (await client.query({ query, format: "JSONEachRow" })).json();
  return { settings, insert, command, select };
}

export type TestWarehouse = Awaited<ReturnType<typeof createWarehouse>>;

/** Creates a database and an events table of this name, with one exposure of the variant a. Returns its settings. */
export async function createTable(warehouse: TestWarehouse, table: string, at: number): Promise<WarehouseSettings> {
  const database = `${warehouse.settings.database} ${table}`;
  const quoted = (text: string) => `\`${text.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``;
  await warehouse.command(`CREATE DATABASE ${quoted(database)}`);
  await warehouse.command(`CREATE TABLE ${quoted(database)}.${quoted(table)} AS events`);
  await warehouse.command(
    `INSERT INTO ${quoted(database)}.${quoted(table)} (environment_key, event, feature_name, timestamp, identifier, value)
     VALUES ('e', '$flag_exposure', 'f', fromUnixTimestamp64Milli(${at}), 'ann', 'a')`,
  );
  return { ...warehouse.settings, database, table };
}

/** Formats a time as a UTC string. ClickHouse would read a number as ticks or seconds, depending on its size. */
function utc(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, -1).replace("T", " ");
}
