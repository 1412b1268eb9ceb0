/** Values that are true for a while only, at most so many: the oldest go first. */
export type ShortMemory<Value> = {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
  delete(key: string): void;
};

/** In an isolate's memory: each has its own, and it may be gone at any time. */
export function createShortMemory<Value>(keptMs: number, most: number, clock: () => number): ShortMemory<Value> {
  const kept = new Map<string, { value: Value; since: number }>();
  return {
    get(key) {
      const found = kept.get(key);
      if (found === undefined) return undefined;
      const age = clock() - found.since;
      // A clock that went back must not make it last.
      if (age >= 0 && age < keptMs) return found.value;
      kept.delete(key);
      return undefined;
    },
    set(key, value) {
      kept.delete(key);
      kept.set(key, { value, since: clock() });
      const [oldest] = kept.keys();
      if (kept.size > most && oldest !== undefined) kept.delete(oldest);
    },
    delete: (key) => void kept.delete(key),
  };
}
