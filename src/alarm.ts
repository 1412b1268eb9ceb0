/**
 * A timer that goes off at least once, through crashes and restarts. It holds one time, in epoch milliseconds: setting
 * it replaces the time before.
 */
export type Alarm = { get(): Promise<number | null>; set(at: number): Promise<void>; clear(): Promise<void> };

/** Sets the alarm for `at`, unless it goes off by then anyway. Returns whether it had to be set. */
export async function setAlarmBy(alarm: Alarm, at: number): Promise<boolean> {
  const current = await alarm.get();
  if (current !== null && current <= at) return false;
  await alarm.set(at);
  return true;
}
