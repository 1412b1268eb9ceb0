import { type Check, type CheckName, type CheckStatus, checkNames, type Health } from "./health.ts";
import { isCount, property } from "./json.ts";

const LEVELS: Record<CheckStatus, number> = { waiting: 0, healthy: 0, warning: 1, unhealthy: 2 };

/**
 * The state that decides whether a check is alerted: its level at the last refresh, and the worst level of its open alert;
 * 0: none is open. A healthy or waiting check without an open alert has no entry.
 */
export type HealthHistory = Partial<Record<CheckName, { last: number; alerted: number }>>;

/**
 * Parses a stored history. A check that is unknown or malformed is left out, because a history from another version must
 * not fail a refresh.
 */
export function parseHealthHistory(json: string): HealthHistory {
  const stored: unknown = JSON.parse(json);
  const history: HealthHistory = {};
  for (const name of checkNames) {
    const entry = property(stored, name);
    const [last, alerted] = [property(entry, "last"), property(entry, "alerted")];
    if (isCount(last) && isCount(alerted)) history[name] = { last, alerted };
  }
  return history;
}

/** A check that has turned to a status to alert, or whose alert is over. */
export type HealthTransition = { check: Check; status: "warning" | "unhealthy" | "resolved" };

/**
 * Updates the history after a refresh, and returns the transitions to alert. A check has turned to a status once two
 * refreshes in a row found it at least that bad. Its alert is over once two refreshes in a row found it healthy or
 * waiting. Until then, it is alerted again only if it gets worse.
 */
export function trackHealth(
  before: HealthHistory,
  { checks }: Health,
): { history: HealthHistory; transitions: HealthTransition[] } {
  const history: HealthHistory = {};
  const transitions: HealthTransition[] = [];
  for (const check of checks) {
    const level = LEVELS[check.status];
    const { last, alerted } = before[check.name] ?? { last: 0, alerted: 0 };
    const turnedTo = Math.min(last, level);
    if (turnedTo > alerted) transitions.push({ check, status: turnedTo === 1 ? "warning" : "unhealthy" });
    if (last === 0 && level === 0) {
      if (alerted > 0) transitions.push({ check, status: "resolved" });
    } else if (level > 0 || alerted > 0) history[check.name] = { last: level, alerted: Math.max(turnedTo, alerted) };
  }
  return { history, transitions };
}
