import type { StartedExperiment } from "../experiment.ts";
import { HOUR } from "../exposures/buckets.ts";
import { fillSlice } from "../warehouse/state-fill.ts";
import { findWindow, recordWindow, type StateWindow } from "../warehouse/state-windows.ts";
import { logStatesFailure, openWindow, type StatesDeps } from "./state-maintenance.ts";

export type FillDeps = StatesDeps & { clock: () => number };

/**
 * Opens an experiment's window, or goes on filling an open one if it is time. Only the experiment's coordinator calls this,
 * so it never runs twice at once. A failure is logged, and a later refresh tries again.
 *
 * An insert in flight while the window is opened may miss it, and its events can't be filled in before it ends. So the
 * window stays open for the longest time that an insert takes, and is filled only after that.
 */
export async function advanceWindow(deps: FillDeps, experiment: StartedExperiment): Promise<void> {
  const { warehouse, log } = deps;
  const found = await findWindow(warehouse, experiment);
  if (!found.ok) return void logStatesFailure(log, experiment, found.failure);
  if (found.value === null) {
    const opened = await openWindow(warehouse, experiment);
    if (!opened.ok) logStatesFailure(log, experiment, opened.failure);
    return;
  }
  const { state, openMs, ageMs, fill } = found.value;
  if (state !== "opened" || openMs < deps.longestInsertMs || ageMs < fillPause(fill.failures)) return;
  await fillSlices(deps, found.value);
}

/** The time for which a refresh starts slices. The last one may take a whole query's time more. */
const FILLING_MS = 30_000;
/** A slice that took less is followed by one four times as long. */
const QUICK_SLICE_MS = 10_000;
const SHORTEST_SLICE_MS = 60_000;
/** The end of a window's last slice, which includes events with a time in the future. */
const END_OF_TIME = Date.UTC(2299, 0);

/** Fills slice by slice, and records each, so that a later refresh goes on from there. */
async function fillSlices(deps: FillDeps, window: StateWindow): Promise<void> {
  const { warehouse, log, clock } = deps;
  const begunAt = clock();
  let { fill } = window;
  while (fill.to < END_OF_TIME && clock() - begunAt < FILLING_MS) {
    const end = fill.to + fill.sliceMs;
    const slice = { from: fill.to, to: end > window.openedAt ? END_OF_TIME : end };
    const sliceBegunAt = clock();
    const filled = await fillSlice(warehouse, window, slice);
    if (filled.ok) {
      const isQuick = clock() - sliceBegunAt < QUICK_SLICE_MS;
      fill = { to: slice.to, sliceMs: isQuick ? 4 * fill.sliceMs : fill.sliceMs, failures: 0 };
    } else {
      const sliceMs = Math.max(SHORTEST_SLICE_MS, Math.floor(fill.sliceMs / 4));
      fill = { ...fill, sliceMs, failures: Math.min(fill.failures + 1, MAX_FAILURES) };
    }
    const state = fill.to === END_OF_TIME ? "filled" : "opened";
    const recorded = await recordWindow(warehouse, window.window, window, state, fill);
    const failure = filled.ok ? (recorded.ok ? null : recorded.failure) : filled.failure;
    if (failure !== null) return void logStatesFailure(log, window, failure);
    if (state === "filled") log("info", "states.filled", { experiment_id: window.experimentId });
  }
}

/** Failures are counted up to this number, which a UInt8 can hold. */
const MAX_FAILURES = 100;

/** The time from a failed slice to the next attempt: an hour, doubled with each failure up to 16 hours. */
function fillPause(failures: number): number {
  return failures === 0 ? 0 : HOUR * 2 ** Math.min(failures - 1, 4);
}
