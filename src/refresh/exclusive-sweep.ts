import { MAX_SWEEP_MS } from "./sweep-times.ts";

/**
 * Wraps a sweep so that only one runs at a time: a call during a sweep shares its result. If a sweep hangs for longer than
 * the platform allows, the next call starts a new one.
 */
export function createExclusiveSweep(clock: () => number, sweep: (now: number) => Promise<boolean>) {
  let inFlight: { since: number; done: Promise<boolean> } | null = null;

  return (now: number): Promise<boolean> => {
    if (inFlight !== null && clock() < inFlight.since + MAX_SWEEP_MS) return inFlight.done;
    const started = { since: clock(), done: sweep(now) };
    inFlight = started;
    const end = () => {
      if (inFlight === started) inFlight = null;
    };
    started.done.then(end, end);
    return started.done;
  };
}
