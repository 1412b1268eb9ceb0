export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
const MAX_HOURLY_WINDOW = 72 * HOUR;

/** The half-open interval `[from, to)` that exposures are counted in, in epoch milliseconds. */
export type Window = { from: number; to: number };

export type Granularity = "hour" | "day";

/** The gap-free row of buckets that covers a window: `first`, `first + size`, … `count` of them, in UTC. */
export type Buckets = { granularity: Granularity; size: number; first: number; count: number };

/**
 * Hours up to a window of 72 h, days beyond it. Epoch milliseconds know no zone and no leap second, so that
 * rounding them down gives UTC hours and days.
 */
export function bucketsOf({ from, to }: Window): Buckets {
  const granularity = to - from <= MAX_HOURLY_WINDOW ? "hour" : "day";
  const size = granularity === "hour" ? HOUR : DAY;
  const first = Math.floor(from / size) * size;
  const last = Math.floor((to - 1) / size) * size;
  return { granularity, size, first, count: Math.max(0, (last - first) / size + 1) };
}
