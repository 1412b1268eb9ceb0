import { failed, ok, type Result } from "../result.ts";
import { adviceFor, adviceForStates } from "./advice.ts";
import type { Warehouse } from "./client.ts";
import { countExposures } from "./count-exposures.ts";
import { countStates } from "./state-counts.ts";
import { findWindow } from "./state-windows.ts";

/** The columns of the events table with their types, without LowCardinality. */
const COLUMNS = {
  environment_key: "String",
  event: "String",
  feature_name: "String",
  timestamp: "DateTime64",
  collected_at: "DateTime64",
  identifier: "String",
  value: "String",
  traits: "String",
  metadata: "String",
  sdk_language: "String",
  sdk_version: "String",
} as const;

const DESCRIBE_TABLE = "DESCRIBE TABLE {database:Identifier}.{table:Identifier}";

/**
 * Checks that refreshes can work: ClickHouse answers, the table has its columns, and the user may run the query of a
 * refresh, here over an empty window. Fails with what is missing and what to do about it.
 */
export async function checkWarehouse(warehouse: Warehouse): Promise<Result<{ columns: number }, string>> {
  const described = await warehouse.select(DESCRIBE_TABLE, warehouse.table);
  if (!described.ok) return failed(adviceFor(described.failure));

  const types = new Map<string, string>();
  for (const row of described.value) {
    if (typeof row !== "object" || row === null || !("name" in row) || !("type" in row)) continue;
    if (typeof row.name === "string" && typeof row.type === "string") types.set(row.name, bareType(row.type));
  }
  const missing: string[] = [];
  const nullable: string[] = [];
  for (const [column, expected] of Object.entries(COLUMNS)) {
    const actual = types.get(column);
    if (actual === undefined) missing.push(`lacks the column ${column} (${expected})`);
    else if (actual === "Nullable") nullable.push(column);
    else if (actual !== expected) missing.push(`has ${column} as ${actual} instead of ${expected}`);
  }
  if (missing.length > 0)
    return failed(`The events table ${missing.join(", ")}. Compare it with migrations/clickhouse.`);
  if (nullable.length > 0)
    return failed(
      `The events table has Nullable columns, and NULL can't be counted: ${nullable.join(", ")}. Change their types, or set EVENTS_TABLE to a view that replaces NULL.`,
    );

  const counted = await countExposures(warehouse, {
    environmentKey: "",
    featureName: "",
    window: { from: 0, to: 0 },
  });
  return counted.ok ? ok({ columns: types.size }) : failed(adviceFor(counted.failure));
}

/** Checks all that refreshes count from: the events, and the states if there are any. */
export async function checkSource(warehouse: Warehouse, hasStates: boolean): Promise<Result<null, string>> {
  const events = await checkWarehouse(warehouse);
  if (!events.ok) return events;
  return hasStates ? checkStates(warehouse) : ok(null);
}

/** Checks that states can be read. Whether they can be written shows only in the log of a refresh. */
async function checkStates(warehouse: Warehouse): Promise<Result<null, string>> {
  const noExperiment = { experimentId: "", environmentKey: "", featureName: "", startedAt: 0 };
  const found = await findWindow(warehouse, noExperiment);
  const counted = found.ok ? await countStates(warehouse, "", { ...noExperiment, window: { from: 0, to: 0 } }) : found;
  return counted.ok ? ok(null) : failed(adviceForStates(counted.failure));
}

/** `LowCardinality(String)` → `String`, `DateTime64(3, 'UTC')` → `DateTime64`, `LowCardinality(Nullable(String))` → `Nullable`. */
function bareType(type: string): string {
  return type.replace(/^LowCardinality\(/, "").replace(/[()].*$/, "");
}
