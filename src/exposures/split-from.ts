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

/** Returns the last change of the weights, if it is inside the window: its numbers then mix periods with different splits. */
export function splitChangeIn({ from, to }: Window, weightsChangedAt: number | null): number | null {
  return weightsChangedAt !== null && weightsChangedAt > from && weightsChangedAt < to ? weightsChangedAt : null;
}

/** What a change of the weights inside the window means for results. */
export const describeSplitChange = (changedAt: number) =>
  `The weights changed at ${formatUtc(changedAt)}, so results mix periods with different splits.`;
