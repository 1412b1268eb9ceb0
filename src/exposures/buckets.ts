export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
const MAX_HOURLY_WINDOW = 72 * HOUR;

/** The half-open interval `[from, to)` of the counted exposures, in epoch milliseconds. */
export type Window = { from: number; to: number };

export type Granularity = "hour" | "day";

/** Consecutive UTC hours or days that cover a window: `count` buckets of `size` milliseconds from `first` on. */
export type Buckets = { granularity: Granularity; size: number; first: number; count: number };

/**
 * Divides a window of at most 72 h into hours, and a longer one into days. Epoch milliseconds have no time zone and no
 * leap seconds, so rounding them down gives UTC hours and days.
 */
export function bucketsOf({ from, to }: Window): Buckets {
  const granularity = to - from <= MAX_HOURLY_WINDOW ? "hour" : "day";
  const size = granularity === "hour" ? HOUR : DAY;
  const first = Math.floor(from / size) * size;
  const last = Math.floor((to - 1) / size) * size;
  return { granularity, size, first, count: Math.max(0, (last - first) / size + 1) };
}

/**
 * The time from which first exposures were split by the current weights: the start of the first bucket that begins at or
 * after their last change, or of the window. It may be at or after the window's end.
 * @param weightsChangedAt epoch milliseconds; null: never
 */
export function splitFrom(window: Window, weightsChangedAt: number | null): number {
  if (weightsChangedAt === null || weightsChangedAt <= window.from) return window.from;
  const { size } = bucketsOf(window);
  return Math.ceil(weightsChangedAt / size) * size;
}
