import type { StartedExperiment } from "../experiment.ts";
import type { CountedExposures } from "../exposures/summary.ts";
import { describeBug, type Log } from "../log.ts";
import type { Result } from "../result.ts";
import type { StatesSettings } from "../settings.ts";
import type { Database } from "../store/database.ts";
import { findStarted } from "../store/experiments.ts";
import type { Warehouse } from "../warehouse/client.ts";
import type { ExposureQuestion } from "../warehouse/exposures.ts";
import type { WarehouseFailure } from "../warehouse/failure.ts";
import {
  belongsTo,
  deleteWindow,
  fillWindow,
  findWindow,
  listWindows,
  noteWindow,
} from "../warehouse/state-windows.ts";
import { adviceForStates, countStates } from "../warehouse/states.ts";

export type StatesDeps = StatesSettings & { warehouse: Warehouse; log: Log };

/**
 * What the states know of an experiment's window; null where the events themselves must be counted: the window
 * is not filled yet, or the states did not answer, which is in the log by then.
 */
export async function countFromStates(
  deps: StatesDeps,
  experiment: StartedExperiment,
  question: ExposureQuestion,
): Promise<CountedExposures | null> {
  const before = await findWindow(deps.warehouse, experiment);
  if (!before.ok) return complain(deps.log, experiment, before.failure);
  if (before.value?.state !== "filled") return null;
  const counted = await countStates(deps.warehouse, before.value.window, question);
  if (!counted.ok) return complain(deps.log, experiment, counted.failure);
  // A window that was dropped meanwhile may have been emptied under the count.
  const after = await findWindow(deps.warehouse, experiment);
  if (!after.ok) return complain(deps.log, experiment, after.failure);
  return after.value?.window === before.value.window ? counted.value : null;
}

/**
 * The next step of an experiment's window on its way to being filled, if it is time. To be called by its coordinator,
 * so that no two do it at once; what fails is in the log, and done by a later refresh.
 *
 * An insert that is under way when the window is opened may not see it, and its events are not there to be filled in
 * before it ends: so the window stays open for as long as an insert may take, before all events are filled in.
 */
export async function keepWindow(deps: StatesDeps, experiment: StartedExperiment): Promise<void> {
  const { warehouse, log } = deps;
  const found = await findWindow(warehouse, experiment);
  if (!found.ok) return void complain(log, experiment, found.failure);
  if (found.value === null) {
    const opened = await openWindow(warehouse, experiment);
    if (!opened.ok) complain(log, experiment, opened.failure);
    return;
  }
  const { window, state, ageMs } = found.value;
  if (state !== "opened" || ageMs < deps.longestInsertMs) return;
  const filled = await fillWindow(warehouse, window, experiment);
  const noted = filled.ok ? await noteWindow(warehouse, window, experiment, "filled") : filled;
  if (noted.ok) log("info", "states.filled", { experiment_id: experiment.experimentId });
  else complain(log, experiment, noted.failure);
}

/** From now on, events go into a new window of an experiment, which its refreshes will fill. One that it had is over. */
export function openWindow(
  warehouse: Warehouse,
  experiment: StartedExperiment,
): Promise<Result<null, WarehouseFailure>> {
  return noteWindow(warehouse, crypto.randomUUID(), experiment, "opened");
}

/** So many experiments' windows are looked at together. */
const PAGE = 500;
/** Deleting rewrites parts: the rest is left to the next sweep. */
const MOST_DELETED = 20;

/**
 * Drops the windows that no running experiment needs any longer, and deletes those that were dropped so long ago that
 * no insert may still add to them. What fails is in the log, and done by a later sweep.
 */
export async function tidyWindows(deps: StatesDeps & { database: Database }): Promise<void> {
  try {
    await dropAndDelete(deps);
  } catch (error) {
    deps.log("warn", "states.failed", { error: describeBug(error) });
  }
}

async function dropAndDelete(deps: StatesDeps & { database: Database }): Promise<void> {
  const { warehouse, database, longestInsertMs, log } = deps;
  let deleted = 0;
  for (let after = ""; ; ) {
    const page = await listWindows(warehouse, after, PAGE);
    if (!page.ok) return void complain(log, null, page.failure);
    const windowsOf = Map.groupBy(page.value, ({ experimentId }) => experimentId);
    const started = await findStarted(database, [...windowsOf.keys()]);
    for (const [experimentId, windows] of windowsOf) {
      const experiment = started.get(experimentId);
      const [newest] = windows;
      const needed = experiment !== undefined && newest !== undefined && belongsTo(newest, experiment) ? newest : null;
      for (const window of windows) {
        if (window === needed) continue;
        const isOver = window.state === "dropped";
        if (isOver && (window.ageMs < longestInsertMs || deleted === MOST_DELETED)) continue;
        if (isOver) deleted += 1;
        const done = isOver
          ? await deleteWindow(warehouse, window.window)
          : await noteWindow(warehouse, window.window, window, "dropped");
        if (!done.ok) return void complain(log, window, done.failure);
      }
      after = experimentId;
    }
    if (windowsOf.size < PAGE) return;
  }
}

function complain(log: Log, experiment: StartedExperiment | null, failure: WarehouseFailure): null {
  log("warn", "states.failed", {
    experiment_id: experiment?.experimentId ?? null,
    ...failure,
    advice: adviceForStates(failure),
  });
  return null;
}
