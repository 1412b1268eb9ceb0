import { failed, ok, type Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { countExposures } from "./exposure-query.ts";
import { adviceFor } from "./failure.ts";
import { findWindow } from "./state-windows.ts";
import { adviceForStates, countStates } from "./state-counts.ts";

/** The columns of the events table, and the type that each must have, whatever wraps or encodes it. */
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

const SQL = "DESCRIBE TABLE {database:Identifier}.{table:Identifier}";

/**
 * Whether refreshes can work: ClickHouse answers, the table has its columns, and the user may run the very query that
 * a refresh runs (over an empty window). Fails with what is missing and what to do about it.
 */
export async function checkWarehouse(warehouse: Warehouse): Promise<Result<{ columns: number }, string>> {
  const described = await warehouse.select(SQL, warehouse.table);
  if (!described.ok) return failed(adviceFor(described.failure));

  const types = new Map<string, string>();
  for (const row of described.value) {
    if (typeof row !== "object" || row === null || !("name" in row) || !("type" in row)) continue;
    if (typeof row.name === "string" && typeof row.type === "string") types.set(row.name, bareType(row.type));
  }
  const missing: string[] = [];
  for (const [column, expected] of Object.entries(COLUMNS)) {
    const actual = types.get(column);
    if (actual === undefined) missing.push(`lacks the column ${column} (${expected})`);
    else if (actual !== expected) missing.push(`has ${column} as ${actual} instead of ${expected}`);
  }
  if (missing.length > 0)
    return failed(`the events table ${missing.join(", ")}: compare it with migrations/clickhouse`);

  const counted = await countExposures(warehouse, {
    environmentKey: "",
    featureName: "",
    window: { from: 0, to: 0 },
  });
  return counted.ok ? ok({ columns: types.size }) : failed(adviceFor(counted.failure));
}

/** Whether states can be read. That they can be written is only found out by writing: the log tells. */
export async function checkStates(warehouse: Warehouse): Promise<Result<null, string>> {
  const nobody = { experimentId: "", environmentKey: "", featureName: "", startedAt: 0 };
  const found = await findWindow(warehouse, nobody);
  const counted = found.ok ? await countStates(warehouse, "", { ...nobody, window: { from: 0, to: 0 } }) : found;
  return counted.ok ? ok(null) : failed(adviceForStates(counted.failure));
}

/** `LowCardinality(Nullable(String))` → `String`, `DateTime64(3, 'UTC')` → `DateTime64`. */
function bareType(type: string): string {
  const inner = /^(?:LowCardinality|Nullable)\((.*)\)$/.exec(type)?.[1];
  return inner === undefined ? type.replace(/\(.*$/, "") : bareType(inner);
}
