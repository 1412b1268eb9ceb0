/** Values that are true for a while only, at most so many: the oldest go first. */
export type ShortMemory<Value> = {
  get(key: string): Value | undefined;
  /** @param since the time the value was true at; now if nothing is said */
  set(key: string, value: Value, since?: number): void;
  delete(key: string): void;
  clear(): void;
};

/** How much the values may weigh together. One that alone weighs more is not kept. */
export type Weighing<Value> = { of(value: Value): number; most: number };

/** In an isolate's memory: each has its own, and it may be gone at any time. */
export function createShortMemory<Value>(
  keptMs: number,
  most: number,
  clock: () => number,
  weighing?: Weighing<Value>,
): ShortMemory<Value> {
  const kept = new Map<string, { value: Value; since: number }>();
  const weightOf = (value: Value) => weighing?.of(value) ?? 0;
  const mostWeight = weighing?.most ?? 0;
  let weight = 0;

  function drop(key: string): void {
    const found = kept.get(key);
    if (found === undefined) return;
    weight -= weightOf(found.value);
    kept.delete(key);
  }

  return {
    get(key) {
      const found = kept.get(key);
      if (found === undefined) return undefined;
      const age = clock() - found.since;
      // A clock that went back must not make it last.
      if (age >= 0 && age < keptMs) return found.value;
      drop(key);
      return undefined;
    },
    set(key, value, since = clock()) {
      drop(key);
      kept.set(key, { value, since });
      weight += weightOf(value);
      for (const oldest of kept.keys()) {
        if (kept.size <= most && weight <= mostWeight) break;
        drop(oldest);
      }
    },
    delete: drop,
    clear() {
      kept.clear();
      weight = 0;
    },
  };
}
