import type { CoordinatorDeps } from "../refresh/coordinator.ts";

/** What a timer can be set to at most. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** An alarm that lasts as long as the process. */
export function createTimerAlarm(clock: () => number, goOff: () => void): CoordinatorDeps["alarm"] {
  let due: number | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function set(at: number): void {
    clearTimeout(timer);
    due = at;
    timer = setTimeout(fire, Math.min(Math.max(0, at - clock()), LONGEST_TIMER));
  }

  function fire(): void {
    if (due !== null && clock() < due) {
      set(due);
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
