/**
 * A timer that survives crashes and restarts and goes off at least once. It holds one time, in epoch milliseconds: a new
 * time replaces the one before.
 */
export type Alarm = { get(): Promise<number | null>; set(at: number): Promise<void>; clear(): Promise<void> };

/** Sets the alarm for `at`, unless it goes off by then anyway. Returns true if it was set. */
export async function setAlarmBy(alarm: Alarm, at: number): Promise<boolean> {
  const current = await alarm.get();
  if (current !== null && current <= at) return false;
  await alarm.set(at);
  return true;
}
