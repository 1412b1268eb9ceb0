import type { Check, CheckName, CheckStatus, Health } from "./health.ts";

/** How bad a check is. */
const LEVELS: Record<CheckStatus, number> = { waiting: 0, healthy: 0, warning: 1, unhealthy: 2 };

/**
 * What must be remembered of each check to tell of it once: how bad it was at the last refresh, and how bad it was told
 * to be since it was well. One that was well has nothing to remember.
 */
export type Watch = Partial<Record<CheckName, { last: number; told: number }>>;

/** A check that has turned to a status that is worth telling. */
export type Onset = { check: Check; status: "warning" | "unhealthy" };

/**
 * What is to be told after a refresh. A check has turned to a status when two refreshes in a row found it no better;
 * that is told once, and again only if it gets worse, or comes back after the check was well.
 */
export function watchHealth(before: Watch, { checks }: Health): { watch: Watch; onsets: Onset[] } {
  const watch: Watch = {};
  const onsets: Onset[] = [];
  for (const check of checks) {
    const level = LEVELS[check.status];
    if (level === 0) continue;
    const { last, told } = before[check.name] ?? { last: 0, told: 0 };
    const turnedTo = Math.min(last, level);
    if (turnedTo > told) onsets.push({ check, status: turnedTo === 1 ? "warning" : "unhealthy" });
    watch[check.name] = { last: level, told: Math.max(turnedTo, told) };
  }
  return { watch, onsets };
}
