import * as z from "zod";
import type { StartedExperiment } from "../experiment.ts";
import { bucketsOf } from "../exposures/buckets.ts";
import type { ExposureCount } from "../exposures/summary.ts";
import { failed, ok, type Result } from "../result.ts";
import type { QueryParameters, Warehouse } from "./client.ts";
import { countFrom, countsOf, type ExposureQuestion, type Source, type VariantHash } from "./exposures.ts";
import { adviceFor, type WarehouseFailure } from "./failure.ts";

// What migrations/clickhouse/0002 to 0006 keep: for each identity of a window when it first saw which variant. A
// window belongs to one experiment as it is defined: defined otherwise, or rebuilt, it gets a new one.

export type StateWindow = StartedExperiment & {
  window: string;
  state: "opened" | "filled" | "dropped";
  /** How long that has been so, by the server's clock. */
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

/** The newest window of an experiment, if it is the experiment's as it is defined now and not dropped. */
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

/** The windows of so many experiments whose ids come after `after`: by experiment, each one's newest first. */
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

/** Notes what has become of a window. The first note opens it: from now on, events that arrive go into it. */
export async function noteWindow(
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
    { database: warehouse.table.database, window, ...parametersOf(experiment), state },
  );
}

/** Puts all events of now into a window. Those that are in it already change nothing. */
export function fillWindow(
  warehouse: Warehouse,
  window: string,
  experiment: StartedExperiment,
): Promise<Result<null, WarehouseFailure>> {
  return warehouse.command(
    `INSERT INTO {database:Identifier}.exposure_firsts (window, identity, identity_check, variant, first_exposure)
    SELECT {window:String}, cityHash64(identifier) AS identity, xxh3(identifier) AS identity_check, value, min(timestamp)
    FROM {database:Identifier}.{table:Identifier}
    WHERE environment_key = {environment_key:String}
      AND event = '$flag_exposure'
      AND feature_name = {feature_name:String}
      AND timestamp >= fromUnixTimestamp64Milli({started_at:Int64})
      AND identifier != ''
      AND value != ''
    GROUP BY identity, identity_check, value`,
    { ...warehouse.table, window, ...parametersOf(experiment) },
  );
}

/** Deletes all that is known of a window, itself last. */
export async function deleteWindow(warehouse: Warehouse, window: string): Promise<Result<null, WarehouseFailure>> {
  for (const table of ["exposure_identities", "exposure_firsts", "exposure_windows"]) {
    const deleted = await warehouse.command(
      "DELETE FROM {database:Identifier}.{table:Identifier} WHERE window = {window:String}",
      { database: warehouse.table.database, table, window },
    );
    if (!deleted.ok) return deleted;
  }
  return ok(null);
}

function parametersOf({ experimentId, environmentKey, featureName, startedAt }: StartedExperiment) {
  return {
    experiment_id: experimentId,
    environment_key: environmentKey,
    feature_name: featureName,
    started_at: startedAt,
  };
}

const selectNames = (variantHash: VariantHash) => `
SELECT toString(variant) AS name, 0 AS multiple, toString(${variantHash}(variant)) AS variant_hash, 0 AS bucket,
  count() AS identities
FROM {database:Identifier}.exposure_firsts
WHERE window = {window:String}
GROUP BY variant`;

/** Exact for any window's end, though later events are in it: each variant's first exposure is there. */
const FIRSTS: Source = {
  from: "{database:Identifier}.exposure_firsts",
  identity: "identity, identity_check",
  variant: "variant",
  at: "first_exposure",
  where: "window = {window:String} AND first_exposure < fromUnixTimestamp64Milli({to:Int64})",
  names: selectNames,
};

// A window that is merged into one part has one row for an identity, so that a scan tells what else takes a GROUP BY of
// all; any other gives no row here. FINAL costs nothing then, and keeps it right if a part is added meanwhile. Whoever
// saw several variants may have seen only one of them before the window's end: what became of them is left open (2).
const SELECT_MERGED = `
SELECT
  '' AS name,
  several AS multiple,
  toString(hash) AS variant_hash,
  index * {bucket_size:Int64} AS bucket,
  count() AS identities
FROM (
  SELECT
    multiIf(variant_and = variant_or, 0, last_first < fromUnixTimestamp64Milli({to:Int64}), 1, 2) AS several,
    if(several = 0, variant_and, 0) AS hash,
    if(several = 0, intDiv(toUnixTimestamp64Milli(first_exposure), {bucket_size:Int64}), 0) AS index
  FROM {database:Identifier}.exposure_identities FINAL
  WHERE window = {window:String} AND first_exposure < fromUnixTimestamp64Milli({to:Int64}) AND 1 = (
    SELECT uniqExact(_part_index) FROM {database:Identifier}.exposure_identities WHERE window = {window:String}
  )
)
GROUP BY several, hash, index
UNION ALL ${selectNames("cityHash64")}`;

const isCounted = z.object({ name: z.literal(""), multiple: z.union([z.literal(0), z.literal(1)]) });
const isLeftOpen = z.object({ multiple: z.literal(2) });

/** The counts of a filled window, as `countExposures` would find them. */
export async function countStates(
  warehouse: Warehouse,
  stateWindow: string,
  { window }: ExposureQuestion,
): Promise<Result<ExposureCount[], WarehouseFailure>> {
  const parameters = { database: warehouse.table.database, window: stateWindow, to: window.to };
  const rows = await warehouse.select(SELECT_MERGED, { ...parameters, bucket_size: bucketsOf(window).size });
  if (!rows.ok) return rows;
  const isMerged = rows.value.some((row) => isCounted.safeParse(row).success);
  const isSure = !rows.value.some((row) => isLeftOpen.safeParse(row).success);
  const counts = isMerged && isSure ? countsOf(rows.value, window) : null;
  // Nor does a scan tell two variants of one hash apart, or know a variant that came a moment ago: the full count does.
  return counts === null || counts === "collision" || !counts.ok
    ? countFrom(warehouse, FIRSTS, parameters, window)
    : counts;
}

/** What the operator should do about states that do not work, where it is not the same as for events. */
export function adviceForStates(failure: WarehouseFailure): string {
  switch (failure.kind) {
    case "missing_table":
      return "EXPOSURE_SOURCE is states, but the states are not there: run migrations/clickhouse/0002 to 0006";
    case "credentials":
    case "settings_refused":
      return "for states the user needs SELECT, INSERT and ALTER DELETE on the exposure_ tables, and no readonly: see the README";
    default:
      return adviceFor(failure);
  }
}
