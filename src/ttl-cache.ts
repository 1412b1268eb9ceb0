/** A cache whose entries expire after a TTL. If it holds too many, it evicts the oldest. */
export type TtlCache<Value> = {
  get(key: string): Value | undefined;
  /** @param since the time from which the TTL counts; now by default */
  set(key: string, value: Value, since?: number): void;
  delete(key: string): void;
  clear(): void;
};

/** A bound on the sum of the values' weights. A value that alone exceeds it is not cached. */
export type WeightLimit<Value> = { weightOf(value: Value): number; max: number };

/** Creates a cache in the memory of this isolate or process, which shares nothing with others. */
export function createTtlCache<Value>(
  ttlMs: number,
  maxEntries: number,
  clock: () => number,
  { weightOf, max: maxWeight }: WeightLimit<Value> = { weightOf: () => 0, max: 0 },
): TtlCache<Value> {
  const entries = new Map<string, { value: Value; since: number }>();
  let weight = 0;

  function remove(key: string): void {
    const entry = entries.get(key);
    if (entry === undefined) return;
    weight -= weightOf(entry.value);
    entries.delete(key);
  }

  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      const age = clock() - entry.since;
      // A negative age means that the clock was set back, which must not extend the entry's life.
      if (age >= 0 && age < ttlMs) return entry.value;
      remove(key);
      return undefined;
    },
    set(key, value, since = clock()) {
      remove(key);
      entries.set(key, { value, since });
      weight += weightOf(value);
      for (const oldest of entries.keys()) {
        if (entries.size <= maxEntries && weight <= maxWeight) break;
        remove(oldest);
      }
    },
    delete: remove,
    clear() {
      entries.clear();
      weight = 0;
    },
  };
}
