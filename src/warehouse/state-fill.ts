import type { Window } from "../exposures/buckets.ts";
import type { Result } from "../result.ts";
import type { Warehouse } from "./client.ts";
import { EVENTS_TABLE, FIRST_AND_LATE, IN_WINDOW, IS_VALID, STORED_VARIANT } from "./event-sql.ts";
import type { WarehouseFailure } from "./failure.ts";
import type { StateWindow } from "./state-windows.ts";

/** Settings that bound a fill's memory: it spills its GROUP BY to the server's disk, and inserts smaller blocks. */
const FILL_SETTINGS = { max_bytes_before_external_group_by: "50000000", min_insert_block_size_rows: "250000" };

/** Adds the present events of a slice of time to a window. Events that are in it already change nothing. */
export async function fillSlice(
  warehouse: Warehouse,
  { window, environmentKey, featureName }: StateWindow,
  slice: Window,
): Promise<Result<null, WarehouseFailure>> {
  const parameters = {
    ...warehouse.table,
    window,
    environment_key: environmentKey,
    feature_name: featureName,
    ...slice,
  };
  const filled = await warehouse.command(
    `INSERT INTO {database:Identifier}.exposure_firsts (window, identity, identity_check, variant, first_and_late)
    SELECT {window:String}, cityHash64(identifier) AS identity, xxh3(identifier) AS identity_check,
      ${STORED_VARIANT} AS stored_variant, min(${FIRST_AND_LATE})
    FROM ${EVENTS_TABLE}
    WHERE ${IN_WINDOW} AND ${IS_VALID}
    GROUP BY identity, identity_check, stored_variant`,
    parameters,
    FILL_SETTINGS,
  );
  if (!filled.ok) return filled;
  return warehouse.command(
    `INSERT INTO {database:Identifier}.exposure_invalids (window)
    SELECT {window:String} FROM ${EVENTS_TABLE} WHERE ${IN_WINDOW} AND NOT (${IS_VALID}) LIMIT 1`,
    parameters,
  );
}
