import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { withTimeout } from "../src/with-timeout.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("withTimeout", () => {
  it("resolves to a value that is in time, and leaves no timer", async () => {
    const onTimeout = vi.fn();
    expect(await withTimeout(Promise.resolve("value"), 100, onTimeout)).toBe("value");
    expect(vi.getTimerCount()).toBe(0);
    expect(onTimeout).not.toHaveBeenCalled();
  });

  it("passes on an error that is in time, and leaves no timer", async () => {
    await expect(withTimeout(Promise.reject(new Error("failed")), 100, () => null)).rejects.toThrow("failed");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("waits up to the limit, then resolves to what onTimeout returns", async () => {
    const outcome = withTimeout(new Promise(() => undefined), 100, () => "late");
    await vi.advanceTimersByTimeAsync(99);
    expect(await Promise.race([outcome, Promise.resolve("waiting")])).toBe("waiting");
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome).toBe("late");
  });

  it("throws what onTimeout throws, and ignores an error that comes later", async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    const outcome = withTimeout(promise, 100, () => {
      throw new Error("no answer");
    });
    const thrown = expect(outcome).rejects.toThrow("no answer");
    await vi.advanceTimersByTimeAsync(100);
    await thrown;
    reject(new Error("too late"));
    await vi.advanceTimersByTimeAsync(0);
  });
});
