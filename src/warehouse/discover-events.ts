import { failed, ok, type Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { DISCOVERY_MS } from "./discover-features.ts";
import { EVENTS_TABLE } from "./event-sql.ts";
import type { WarehouseFailure } from "./failure.ts";

/** What an event's latest values look like: all finite numbers, some of them, none of them, or all empty. */
export const valueKinds = ["numbers", "mixed", "text", "empty"] as const;
export type ValueKind = (typeof valueKinds)[number];

/** An event other than exposures that a metric can count. */
export type FoundEvent = {
  event: string;
  /** The number of events in the last 30 days, duplicates included. */
  events: number;
  values: ValueKind;
  /** Epoch milliseconds. */
  lastEventAt: number;
};

/** The most frequent events of an environment. There are more if `isTruncated`. */
export type FoundEvents = { events: readonly FoundEvent[]; isTruncated: boolean };

export const MAX_EVENTS = 500;

/** Finds the events of an environment in the 30 days before `now`. */
export async function discoverEvents(
  warehouse: Warehouse,
  environmentKey: string,
  now: number,
): Promise<Result<FoundEvents, WarehouseFailure>> {
  const rows = await warehouse.select(
    `SELECT 1 FROM ${EVENTS_TABLE} WHERE environment_key = {environment_key:String} LIMIT 0`,
    {
      ...warehouse.table,
      environment_key: environmentKey,
      from: now - DISCOVERY_MS,
      to: now,
    },
  );
  if (!rows.ok) return rows;
  return rows.value.length === 0 ? ok({ events: [], isTruncated: false }) : failed({ kind: "bad_rows" });
}
