import { connectWarehouse, type Warehouse } from "../../src/warehouse/client.ts";
import type { Event, TestWarehouse } from "./warehouse.ts";

// The embedded engine is its own cluster: each address of itself is a shard that answers with partial states, which it
// merges. Such shards read the same table. Two tables with different rows are merged through a Merge table.

/** Creates two shards with the rows of `all_events`, and two others with those of `first_events` and `second_events`. */
export async function createShards(warehouse: TestWarehouse): Promise<{ copies: Warehouse; halves: Warehouse }> {
  const { database } = warehouse.settings;
  // A part for each day would slow the tests down.
  const engine = "ENGINE = MergeTree ORDER BY (environment_key, event, feature_name, timestamp, identifier)";
  const addresses = { all: "127.0.0.1,localhost", first: "127.0.0.1", second: "localhost" };
  for (const [name, address] of Object.entries(addresses)) {
    await warehouse.command(`CREATE TABLE ${name}_events AS events ${engine}`);
    const table = name === "all" ? "copies" : `shard_${name}`;
    await warehouse.command(`CREATE TABLE ${table} AS remote('${address}', ${database}.${name}_events)`);
  }
  await warehouse.command(`CREATE TABLE halves AS merge('${database}', '^shard_')`);
  const connect = (table: string) => connectWarehouse({ ...warehouse.settings, table });
  return { copies: connect("copies"), halves: connect("halves") };
}

/** Divides events between the two shards. */
export function partition(events: readonly Event[], isFirst: () => boolean): [Event[], Event[]] {
  const parts: [Event[], Event[]] = [[], []];
  for (const event of events) parts[isFirst() ? 0 : 1].push(event);
  return parts;
}
