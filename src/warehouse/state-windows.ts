import * as z from "zod";
import type { StartedExperiment } from "../experiment.ts";
import { failed, ok, type Result } from "../result.ts";
import type { QueryParameters, Warehouse } from "./client.ts";
import { EVENTS_TABLE, FIRST_AND_LATE, IS_EXPOSURE, IS_VALID } from "./event-sql.ts";
import type { WarehouseFailure } from "./failure.ts";

// The windows that ClickHouse keeps states for. A window belongs to one definition of an experiment: a redefined or
// rebuilt experiment gets a new one.

export type StateWindow = StartedExperiment & {
  window: string;
  state: "opened" | "filled" | "dropped";
  /** Time since the state was recorded, by the server's clock. */
  ageMs: number;
};

const windowRow = z.object({
  window: z.string(),
  experiment_id: z.string(),
  environment_key: z.string(),
  feature_name: z.string(),
  started: z.int(),
  newest_state: z.enum(["opened", "filled", "dropped"]),
  age: z.int(),
});

const SELECT_WINDOWS = `
SELECT
  window, experiment_id, environment_key, feature_name,
  toUnixTimestamp64Milli(started_at) AS started,
  toString(max(state)) AS newest_state,
  toUnixTimestamp64Milli(now64(3)) - toUnixTimestamp64Milli(max(noted_at)) AS age
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
      ageMs: row.age,
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
export async function recordWindow(
  warehouse: Warehouse,
  window: string,
  experiment: StartedExperiment,
  state: StateWindow["state"],
): Promise<Result<null, WarehouseFailure>> {
  return warehouse.command(
    `INSERT INTO {database:Identifier}.exposure_windows
      (window, experiment_id, environment_key, feature_name, started_at, state)
    SELECT {window:String}, {experiment_id:String}, {environment_key:String}, {feature_name:String},
      fromUnixTimestamp64Milli({started_at:Int64}), {state:String}`,
    {
      database: warehouse.table.database,
      window,
      experiment_id: experiment.experimentId,
      environment_key: experiment.environmentKey,
      feature_name: experiment.featureName,
      started_at: experiment.startedAt,
      state,
    },
  );
}

/** Adds all present events to a window. Events that are in it already change nothing. */
export async function fillWindow(
  warehouse: Warehouse,
  window: string,
  experiment: StartedExperiment,
): Promise<Result<null, WarehouseFailure>> {
  const { environmentKey, featureName, startedAt } = experiment;
  const parameters = {
    ...warehouse.table,
    window,
    environment_key: environmentKey,
    feature_name: featureName,
    from: startedAt,
  };
  const filled = await warehouse.command(
    `INSERT INTO {database:Identifier}.exposure_firsts (window, identity, identity_check, variant, first_and_late)
    SELECT {window:String}, cityHash64(identifier) AS identity, xxh3(identifier) AS identity_check, value,
      min(${FIRST_AND_LATE})
    FROM ${EVENTS_TABLE}
    WHERE ${IS_EXPOSURE} AND ${IS_VALID}
    GROUP BY identity, identity_check, value`,
    parameters,
  );
  if (!filled.ok) return filled;
  return warehouse.command(
    `INSERT INTO {database:Identifier}.exposure_invalids (window)
    SELECT {window:String} FROM ${EVENTS_TABLE} WHERE ${IS_EXPOSURE} AND NOT (${IS_VALID}) LIMIT 1`,
    parameters,
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
