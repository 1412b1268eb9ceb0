import { LONGEST_SWEEP_MS } from "./sweep.ts";

/**
 * Lets one sweep end before another begins: one that comes meanwhile shares its end, so that neither the load nor the
 * work doubles. Only one that hangs for longer than a sweep may take is no longer waited for.
 */
export function createSweeper(clock: () => number, sweep: (now: number) => Promise<boolean>) {
  let underWay: { since: number; done: Promise<boolean> } | null = null;

  return (now: number): Promise<boolean> => {
    if (underWay !== null && clock() < underWay.since + LONGEST_SWEEP_MS) return underWay.done;
    const begun = { since: clock(), done: sweep(now) };
    underWay = begun;
    const end = () => {
      if (underWay === begun) underWay = null;
    };
    begun.done.then(end, end);
    return begun.done;
  };
}
