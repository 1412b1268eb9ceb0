import type { Alarm } from "../refresh/coordinator.ts";

/** What a timer can be set to at most. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** By how much a timer may be too early for the clock, which only shows whole milliseconds. */
const MOST_EARLY = 2;

/** An alarm that lasts as long as the process. A clock that is set back after it was set does not put it off. */
export function createTimerAlarm(clock: () => number, goOff: () => void): Alarm {
  let due: number | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function set(at: number): void {
    due = at;
    wait(Math.max(0, at - clock()));
  }

  function wait(left: number): void {
    clearTimeout(timer);
    const step = Math.min(left, LONGEST_TIMER);
    timer = setTimeout(() => (step < left ? wait(left - step) : fire()), step);
  }

  function fire(): void {
    const early = due === null ? 0 : due - clock();
    if (early > 0 && early <= MOST_EARLY) {
      wait(early);
    } else {
      due = null;
      goOff();
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
