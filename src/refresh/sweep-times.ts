/** The cron schedule of sweeps, as in wrangler.toml. */
export const SWEEP_SCHEDULE = "*/15 * * * *";

/** The platform ends a Cron Trigger after this time. */
export const MAX_SWEEP_MS = 15 * 60_000;
/** The time that a sweep needs after its last queries, to store and log their outcomes. */
const WRAP_UP_MS = 60_000;

/** The time during which a sweep may start refreshes, so that the last of them ends in time, in milliseconds. */
export function sweepBudget(queryTimeoutMs: number): number {
  return Math.max(MAX_SWEEP_MS / 3, MAX_SWEEP_MS - WRAP_UP_MS - queryTimeoutMs);
}
