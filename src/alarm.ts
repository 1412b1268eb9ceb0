/**
 * A timer with one due time, in epoch milliseconds: a new time replaces the one before. That of a Durable Object survives
 * restarts and fires at least once. That of a process ends with the process.
 */
export type Alarm = { get(): Promise<number | null>; set(at: number): Promise<void>; clear(): Promise<void> };

/** Sets the alarm for `at`, unless it fires by then anyway. Returns true if it was set. */
export async function setAlarmBy(alarm: Alarm, at: number): Promise<boolean> {
  const current = await alarm.get();
  if (current !== null && current <= at) return false;
  await alarm.set(at);
  return true;
}
