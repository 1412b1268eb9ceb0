import { failed, ok, type Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { isInteger, MAX_GROUPS, MAX_NAME_BYTES, RECENT_MS } from "./discover-features.ts";
import { EVENTS_TABLE } from "./event-sql.ts";
import type { WarehouseFailure } from "./failure.ts";
import { NUMBER } from "./metric-sql.ts";

/** The kinds of an event's values: numbers, texts or both. Empty values do not matter unless all are empty. */
export const valueKinds = ["numbers", "texts", "mixed", "empty"] as const;
export type ValueKind = (typeof valueKinds)[number];

/** An event that a metric can count. */
export type FoundEvent = {
  event: string;
  /** The number of recent events, duplicates included. */
  count: number;
  values: ValueKind;
  /** Epoch milliseconds. */
  lastEventAt: number;
};

/** The most frequent events of an environment. There are more if `isTruncated`. */
export type FoundEvents = { events: readonly FoundEvent[]; isTruncated: boolean };

const MAX_EVENTS = 500;

const IS_EVENT = `environment_key = {environment_key:String}
    AND event != '$flag_exposure' AND length(event) <= ${MAX_NAME_BYTES}
    AND timestamp >= fromUnixTimestamp64Milli({from:Int64}) AND timestamp < fromUnixTimestamp64Milli({to:Int64})`;

/** The SQL that finds events. It reads the values of each event's last day only, because they may be long texts. */
const EVENTS_SQL = `
SELECT event, event_count, last_event_at, filled, numbers
FROM (
  SELECT event, count() AS event_count, toUnixTimestamp64Milli(max(timestamp)) AS last_event_at
  FROM ${EVENTS_TABLE}
  WHERE ${IS_EVENT}
  GROUP BY event
  ORDER BY event_count DESC, event
  LIMIT ${MAX_EVENTS + 1}
) AS counted
GLOBAL LEFT JOIN (
  SELECT event, countIf(value != '') AS filled, countIf(isFinite(${NUMBER})) AS numbers
  FROM ${EVENTS_TABLE}
  WHERE ${IS_EVENT} AND (event, toDate(timestamp)) GLOBAL IN (
    SELECT event, toDate(max(timestamp)) FROM ${EVENTS_TABLE} WHERE ${IS_EVENT} GROUP BY event
  )
  GROUP BY event
) AS valued USING (event)
ORDER BY event_count DESC, event`;

/** Finds the events of an environment in the 30 days before `now`. */
export async function discoverEvents(
  warehouse: Warehouse,
  environmentKey: string,
  now: number,
): Promise<Result<FoundEvents, WarehouseFailure>> {
  const rows = await warehouse.select(
    EVENTS_SQL,
    { ...warehouse.table, environment_key: environmentKey, from: now - RECENT_MS, to: now },
    // With too many names, some are left out or counted in part. That is better than no answer.
    { max_rows_to_group_by: String(MAX_GROUPS), group_by_overflow_mode: "any" },
  );
  if (!rows.ok) return rows;
  const events: FoundEvent[] = [];
  for (const row of rows.value) {
    const event = readEvent(row);
    if (event === null) return failed({ kind: "bad_rows" });
    events.push(event);
  }
  return ok({ events: events.slice(0, MAX_EVENTS), isTruncated: events.length > MAX_EVENTS });
}

function readEvent(row: unknown): FoundEvent | null {
  if (typeof row !== "object" || row === null) return null;
  if (!("event" in row && typeof row.event === "string")) return null;
  if (!("event_count" in row && isInteger(row.event_count))) return null;
  if (!("last_event_at" in row && isInteger(row.last_event_at))) return null;
  if (!("filled" in row && isInteger(row.filled))) return null;
  if (!("numbers" in row && isInteger(row.numbers))) return null;
  const { event, event_count: count, last_event_at: lastEventAt } = row;
  return { event, count, values: kindOf(row.filled, row.numbers), lastEventAt };
}

function kindOf(filled: number, numbers: number): ValueKind {
  if (filled === 0) return "empty";
  if (numbers === 0) return "texts";
  return numbers === filled ? "numbers" : "mixed";
}
