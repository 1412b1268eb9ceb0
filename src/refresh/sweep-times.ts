/** The cron schedule of sweeps, as in wrangler.toml. */
export const SWEEP_SCHEDULE = "*/15 * * * *";

/** The platform ends a Cron Trigger after this time. */
export const MAX_SWEEP_MS = 15 * 60_000;
/** The time that a refresh may take beyond its queries, and a sweep after them, to store and log the outcome. */
const WRAP_UP_MS = 60_000;

/** The time during which a sweep may start refreshes, so that the last of them ends in time, in milliseconds. */
export function sweepBudget(queryTimeoutMs: number): number {
  return MAX_SWEEP_MS - WRAP_UP_MS - queryTimeoutMs;
}

/** The time after which a refresh has ended, in milliseconds. All its queries share the deadline of one. */
export function maxRefreshMs(queryTimeoutMs: number): number {
  return queryTimeoutMs + WRAP_UP_MS;
}
