import type { StartedExperiment } from "../experiment.ts";
import type { CountedExposures } from "../exposures/summary.ts";
import { describeBug, type Log } from "../log.ts";
import type { Result } from "../result.ts";
import type { StatesSettings } from "../settings.ts";
import type { Database } from "../store/database.ts";
import { findStarted } from "../store/experiments.ts";
import { adviceForStates } from "../warehouse/advice.ts";
import type { Warehouse } from "../warehouse/client.ts";
import type { ExposureQuery } from "../warehouse/exposure-query.ts";
import type { WarehouseFailure } from "../warehouse/failure.ts";
import { countStates } from "../warehouse/state-counts.ts";
import {
  belongsTo,
  deleteWindow,
  findWindow,
  listWindows,
  recordWindow,
  type StateWindow,
} from "../warehouse/state-windows.ts";

export type StatesDeps = StatesSettings & { warehouse: Warehouse; log: Log };

/**
 * Counts an experiment's exposures from states. Returns null where the events must be counted instead: the window is not
 * filled yet, or the states failed, which is then in the log.
 */
export async function countFromStates(
  deps: StatesDeps,
  experiment: StartedExperiment,
  query: ExposureQuery,
): Promise<CountedExposures | null> {
  const before = await findWindow(deps.warehouse, experiment);
  if (!before.ok) return logStatesFailure(deps.log, experiment, before.failure);
  if (before.value?.state !== "filled") return null;
  const counted = await countStates(deps.warehouse, before.value.window, query);
  if (!counted.ok) return logStatesFailure(deps.log, experiment, counted.failure);
  // A window that was dropped in the meantime may have been emptied during the count.
  const after = await findWindow(deps.warehouse, experiment);
  if (!after.ok) return logStatesFailure(deps.log, experiment, after.failure);
  return after.value?.window === before.value.window ? counted.value : null;
}

/** Opens a new window for an experiment, which replaces the one before. Its refreshes will fill it. */
export function openWindow(
  warehouse: Warehouse,
  experiment: StartedExperiment,
): Promise<Result<null, WarehouseFailure>> {
  return recordWindow(warehouse, crypto.randomUUID(), experiment, "opened");
}

/** The number of experiments whose windows are read at once. */
const PAGE_SIZE = 500;
/** A deletion rewrites parts, so the rest is left to the next sweep. */
const MAX_DELETED = 20;

/**
 * Drops the windows that no running experiment needs, and deletes those that were dropped long enough ago for no insert
 * to add to them. A failure is logged, and a later sweep tries again.
 */
export async function cleanUpWindows(deps: StatesDeps & { database: Database }): Promise<void> {
  try {
    const failure = await dropAndDelete(deps);
    if (failure !== null) logStatesFailure(deps.log, failure.window, failure.reason);
  } catch (error) {
    deps.log("warn", "states.failed", { error: describeBug(error) });
  }
}

type CleanUpFailure = { window: StateWindow | null; reason: WarehouseFailure };

/** Stops at the first failure, and returns it. */
async function dropAndDelete({
  warehouse,
  database,
  longestInsertMs,
}: StatesDeps & { database: Database }): Promise<CleanUpFailure | null> {
  let deletions = 0;
  for (let after = ""; ; ) {
    const page = await listWindows(warehouse, after, PAGE_SIZE);
    if (!page.ok) return { window: null, reason: page.failure };
    const windowsOf = Map.groupBy(page.value, ({ experimentId }) => experimentId);
    const started = await findStarted(database, [...windowsOf.keys()]);
    for (const [experimentId, windows] of windowsOf) {
      for (const window of unneededWindows(windows, started.get(experimentId))) {
        const isDropped = window.state === "dropped";
        if (isDropped && (window.ageMs < longestInsertMs || deletions === MAX_DELETED)) continue;
        if (isDropped) deletions += 1;
        const done = isDropped
          ? await deleteWindow(warehouse, window.window)
          : await recordWindow(warehouse, window.window, window, "dropped");
        if (!done.ok) return { window, reason: done.failure };
      }
      after = experimentId;
    }
    if (windowsOf.size < PAGE_SIZE) return null;
  }
}

/** All windows but the newest one, and that one too if it does not fit the experiment as it is defined now. */
function unneededWindows(windows: readonly StateWindow[], experiment: StartedExperiment | undefined): StateWindow[] {
  const [newest] = windows;
  const isNeeded = experiment !== undefined && newest !== undefined && belongsTo(newest, experiment);
  return windows.slice(isNeeded ? 1 : 0);
}

/** Returns null, for callers that fall back to the events. */
export function logStatesFailure(log: Log, experiment: StartedExperiment | null, failure: WarehouseFailure): null {
  log("warn", "states.failed", {
    experiment_id: experiment?.experimentId ?? null,
    ...failure,
    advice: adviceForStates(failure),
  });
  return null;
}
