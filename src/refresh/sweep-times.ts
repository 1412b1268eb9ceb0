import type { Settings } from "../settings.ts";

export const SWEEP_MINUTES = 15;
/** The cron schedule of sweeps, as in wrangler.toml. */
export const SWEEP_SCHEDULE = `*/${SWEEP_MINUTES} * * * *`;

/** The platform ends a Cron Trigger after this time. */
export const MAX_SWEEP_MS = 15 * 60_000;
/** The time that a refresh may take beyond its queries, and a sweep after them, to store and log the outcome. */
const WRAP_UP_MS = 60_000;

/** The deadline of the query for causes, if that of other queries is not shorter. */
export const MAX_BREAKDOWN_MS = 60_000;

type RefreshSettings = Pick<Settings, "warehouse" | "states">;

/**
 * The time after which a refresh has ended, in milliseconds, unless its metrics query fails. Its counts share one deadline.
 * The query for causes has another, and so has the fill of states.
 */
function usualRefreshMs({ warehouse: { queryTimeoutMs }, states }: RefreshSettings): number {
  return queryTimeoutMs * (states === null ? 1 : 2) + Math.min(queryTimeoutMs, MAX_BREAKDOWN_MS) + WRAP_UP_MS;
}

/**
 * The time after which any refresh has ended, in milliseconds. After a failed metrics query, the count has a second
 * deadline.
 */
export function maxRefreshMs(settings: RefreshSettings): number {
  return usualRefreshMs(settings) + settings.warehouse.queryTimeoutMs;
}

/**
 * The time during which a sweep may start refreshes, so that the last of them usually ends in time, in milliseconds. One
 * that takes longer goes on without the sweep.
 */
export function sweepBudget(settings: RefreshSettings): number {
  return MAX_SWEEP_MS - usualRefreshMs(settings);
}
