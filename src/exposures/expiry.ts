import { DAY } from "./buckets.ts";

/**
 * True if events at this time have expired at `now`, so a count of them is incomplete.
 * @param eventsTtlDays days until the warehouse deletes an event; 0: never
 */
export function hasExpired(time: number, now: number, eventsTtlDays: number): boolean {
  return eventsTtlDays > 0 && now - time > eventsTtlDays * DAY;
}
