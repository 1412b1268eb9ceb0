/** Waits for a promise for a limited time, in milliseconds. After that it is ignored, and `onTimeout` decides the outcome. */
export async function withTimeout<Value, Late>(
  promise: Promise<Value>,
  limitMs: number,
  onTimeout: () => Late,
): Promise<Value | Late> {
  const { promise: limit, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), limitMs);
  try {
    const first = await Promise.race([promise.then((value) => ({ value })), limit]);
    return first === "late" ? onTimeout() : first.value;
  } finally {
    clearTimeout(timer);
  }
}
