import type { Alarm } from "../alarm.ts";

/** The longest delay that setTimeout supports. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** A timer may fire early by this much, because the clock has millisecond resolution. */
const MAX_EARLY_MS = 2;

/** Creates an alarm that ends with the process. Setting the clock back does not delay a pending alarm. */
export function createTimerAlarm(clock: () => number, onFire: () => void): Alarm {
  let due: number | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function set(at: number): void {
    due = at;
    wait(Math.max(0, at - clock()));
  }

  function wait(remaining: number): void {
    clearTimeout(timer);
    const step = Math.min(remaining, MAX_TIMER_MS);
    timer = setTimeout(() => (step < remaining ? wait(remaining - step) : fire()), step);
  }

  function fire(): void {
    const early = due === null ? 0 : due - clock();
    if (early > 0 && early <= MAX_EARLY_MS) {
      wait(early);
    } else {
      due = null;
      onFire();
    }
  }

  return {
    get: async () => due,
    set: async (at) => set(at),
    clear: async () => {
      clearTimeout(timer);
      due = null;
    },
  };
}
