import { DAY, HOUR, type Window } from "./buckets.ts";

const IDLE_DAYS = 30;

/** Sweeps refresh an idle experiment only this often, in milliseconds. */
export const IDLE_INTERVAL_MS = HOUR;

/**
 * Returns whether the window's last 30 days have no exposure. A shorter window is never idle.
 * @param latestExposureAt epoch milliseconds; null: there is no exposure
 */
export function isIdle({ from, to }: Window, latestExposureAt: number | null): boolean {
  return (latestExposureAt ?? from) <= to - IDLE_DAYS * DAY;
}
