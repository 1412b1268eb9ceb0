import type { Experiment } from "../experiment.ts";
import { formatUtc } from "../format.ts";
import { bucketsOf, type Window } from "./buckets.ts";

/**
 * The time from which first exposures were split by the current weights: the start of the first bucket that begins at or
 * after their last change, or of the window. It may be at or after the window's end.
 * @param weightsChangedAt epoch milliseconds; null: never
 */
export function splitFrom(window: Window, weightsChangedAt: number | null): number {
  if (weightsChangedAt === null || weightsChangedAt <= window.from) return window.from;
  const { size } = bucketsOf(window);
  return Math.ceil(weightsChangedAt / size) * size;
}

/** The time of the last change of the weights, if numbers as of this time mix periods with different splits. */
export function splitChangeIn(
  { startedAt, weightsChangedAt }: Pick<Experiment, "startedAt" | "weightsChangedAt">,
  asOf: number | null,
): number | null {
  if (startedAt === null || weightsChangedAt === null || asOf === null) return null;
  return startedAt < weightsChangedAt && weightsChangedAt < asOf ? weightsChangedAt : null;
}

/** What a change of the weights inside the window means for results. */
export const describeSplitChange = (changedAt: number) =>
  `The weights changed at ${formatUtc(changedAt)}, so results mix periods with different splits.`;
