import * as z from "zod/mini";
import type { StartedExperiment } from "../experiment.ts";
import { DAY } from "../exposures/buckets.ts";
import { failed, ok, type Result } from "../result.ts";
import type { QueryParameters, Warehouse } from "./client.ts";
import type { WarehouseFailure } from "./failure.ts";

// The windows that ClickHouse keeps states for. A window belongs to one definition of an experiment: a redefined or
// rebuilt experiment gets a new one.

export type StateWindow = StartedExperiment & {
  window: string;
  state: "opened" | "filled" | "dropped";
  /** The time at which the window was opened, by the server's clock. */
  openedAt: number;
  /** Time since then. */
  openMs: number;
  /** Time since the newest record, by the server's clock. */
  ageMs: number;
  fill: Fill;
};

/** The length of a window's first slice. */
const FIRST_SLICE_MS = DAY;

/** The progress of filling in the events from before a window was opened. */
export type Fill = {
  /** The end of the last slice. */
  to: number;
  /** The length of the next slice. */
  sliceMs: number;
  /** The number of attempts at the next slice that failed. */
  failures: number;
};

const windowRow = z.object({
  window: z.string(),
  experiment_id: z.string(),
  environment_key: z.string(),
  feature_name: z.string(),
  started: z.int(),
  newest_state: z.enum(["opened", "filled", "dropped"]),
  opened: z.int(),
  open: z.int(),
  age: z.int(),
  filled: z.int(),
  slice: z.int(),
  failures: z.int(),
});

const SELECT_WINDOWS = `
SELECT
  window, experiment_id, environment_key, feature_name,
  toUnixTimestamp64Milli(started_at) AS started,
  toString(max(state)) AS newest_state,
  toUnixTimestamp64Milli(min(noted_at)) AS opened,
  toUnixTimestamp64Milli(now64(3)) - opened AS open,
  toUnixTimestamp64Milli(now64(3)) - toUnixTimestamp64Milli(max(noted_at)) AS age,
  toUnixTimestamp64Milli(max(filled_to)) AS filled,
  argMax(fill_slice_ms, (filled_to, fill_failures)) AS slice,
  argMax(fill_failures, (filled_to, fill_failures)) AS failures
FROM {database:Identifier}.exposure_windows`;
const GROUP_WINDOWS = "GROUP BY window, experiment_id, environment_key, feature_name, started_at";
const NEWEST_FIRST = "min(noted_at) DESC, window";

async function selectWindows(
  warehouse: Warehouse,
  sql: string,
  parameters: QueryParameters,
): Promise<Result<StateWindow[], WarehouseFailure>> {
  const { database } = warehouse.table;
  const answer = await warehouse.select(sql, { database, ...parameters });
  if (!answer.ok) return answer;
  const rows = z.array(windowRow).safeParse(answer.value);
  if (!rows.success) return failed({ kind: "bad_rows" });
  return ok(
    rows.data.map((row) => ({
      window: row.window,
      experimentId: row.experiment_id,
      environmentKey: row.environment_key,
      featureName: row.feature_name,
      startedAt: row.started,
      state: row.newest_state,
      openedAt: row.opened,
      openMs: row.open,
      ageMs: row.age,
      fill: { to: row.filled, sliceMs: row.slice, failures: row.failures },
    })),
  );
}

/** Finds the newest window of an experiment, if it fits the current definition and is not dropped. */
export async function findWindow(
  warehouse: Warehouse,
  experiment: StartedExperiment,
): Promise<Result<StateWindow | null, WarehouseFailure>> {
  const found = await selectWindows(
    warehouse,
    `${SELECT_WINDOWS} WHERE experiment_id = {experiment_id:String} ${GROUP_WINDOWS} ORDER BY ${NEWEST_FIRST} LIMIT 1`,
    { experiment_id: experiment.experimentId },
  );
  if (!found.ok) return found;
  const [newest] = found.value;
  return ok(newest !== undefined && newest.state !== "dropped" && belongsTo(newest, experiment) ? newest : null);
}

/** Lists the windows of the next `experiments` experiments after an id: by experiment, the newest window first. */
export function listWindows(
  warehouse: Warehouse,
  after: string,
  experiments: number,
): Promise<Result<StateWindow[], WarehouseFailure>> {
  return selectWindows(
    warehouse,
    `${SELECT_WINDOWS} WHERE experiment_id IN (
      SELECT DISTINCT experiment_id FROM {database:Identifier}.exposure_windows
      WHERE experiment_id > {after:String} ORDER BY experiment_id LIMIT {experiments:UInt32}
    ) ${GROUP_WINDOWS} ORDER BY experiment_id, ${NEWEST_FIRST}`,
    { after, experiments },
  );
}

export function belongsTo(window: StartedExperiment, experiment: StartedExperiment): boolean {
  return (
    window.experimentId === experiment.experimentId &&
    window.environmentKey === experiment.environmentKey &&
    window.featureName === experiment.featureName &&
    window.startedAt === experiment.startedAt
  );
}

/** Records the state of a window. The first record opens it: from then on, arriving events go into it. */
export function recordWindow(
  warehouse: Warehouse,
  window: string,
  experiment: StartedExperiment,
  state: StateWindow["state"],
  fill: Fill = { to: experiment.startedAt, sliceMs: FIRST_SLICE_MS, failures: 0 },
): Promise<Result<null, WarehouseFailure>> {
  return warehouse.command(
    `INSERT INTO {database:Identifier}.exposure_windows (window, experiment_id, environment_key, feature_name, started_at,
      state, filled_to, fill_failures, fill_slice_ms)
    SELECT {window:String}, {experiment_id:String}, {environment_key:String}, {feature_name:String},
      fromUnixTimestamp64Milli({started_at:Int64}), {state:String},
      fromUnixTimestamp64Milli({filled_to:Int64}), {failures:UInt8}, {slice:UInt64}`,
    {
      database: warehouse.table.database,
      window,
      experiment_id: experiment.experimentId,
      environment_key: experiment.environmentKey,
      feature_name: experiment.featureName,
      started_at: experiment.startedAt,
      state,
      filled_to: fill.to,
      failures: fill.failures,
      slice: fill.sliceMs,
    },
  );
}

/** Deletes the contents of a window, and the window itself last. */
export async function deleteWindow(warehouse: Warehouse, window: string): Promise<Result<null, WarehouseFailure>> {
  for (const table of ["exposure_identities", "exposure_firsts", "exposure_invalids", "exposure_windows"]) {
    const deleted = await warehouse.command(
      "DELETE FROM {database:Identifier}.{table:Identifier} WHERE window = {window:String}",
      { database: warehouse.table.database, table, window },
    );
    if (!deleted.ok) return deleted;
  }
  return ok(null);
}
