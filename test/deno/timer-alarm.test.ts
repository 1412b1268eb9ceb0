import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createTimerAlarm } from "../../src/deno/timer-alarm.ts";

const START = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;

beforeEach(() => {
  vi.useFakeTimers({ now: START });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Creates an alarm that records when it fires, in milliseconds since START. */
function createAlarm(clock = () => Date.now()) {
  const firedAt: number[] = [];
  const alarm = createTimerAlarm(clock, () => firedAt.push(Date.now() - START));
  return { alarm, firedAt };
}

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

describe("createTimerAlarm", () => {
  it("fires once when it is due, and is then no longer set", async () => {
    const { alarm, firedAt } = createAlarm();
    expect(await alarm.get()).toBeNull();
    await alarm.set(START + 1000);
    expect(await alarm.get()).toBe(START + 1000);
    await pass(999);
    expect(firedAt).toEqual([]);
    await pass(1);
    expect(firedAt).toEqual([1000]);
    expect(await alarm.get()).toBeNull();
    await pass(DAY);
    expect(firedAt).toEqual([1000]);
  });

  it("fires at once for a time in the past", async () => {
    const { alarm, firedAt } = createAlarm();
    await alarm.set(START - DAY);
    await pass(1);
    expect(firedAt).toHaveLength(1);
  });

  it.each([
    { change: "an earlier", at: 400 },
    { change: "a later", at: 4000 },
  ])("replaces its time with $change one", async ({ at }) => {
    const { alarm, firedAt } = createAlarm();
    await alarm.set(START + 1000);
    await alarm.set(START + at);
    expect(await alarm.get()).toBe(START + at);
    await pass(10_000);
    expect(firedAt).toEqual([at]);
  });

  it("does not go off after it is cleared, and can be set again", async () => {
    const { alarm, firedAt } = createAlarm();
    await alarm.set(START + 1000);
    await alarm.clear();
    expect(await alarm.get()).toBeNull();
    await pass(2000);
    expect(firedAt).toEqual([]);
    await alarm.set(START + 3000);
    await pass(1000);
    expect(firedAt).toEqual([3000]);
  });

  it("can be set again by its callback", async () => {
    const firedAt: number[] = [];
    const alarm = createTimerAlarm(
      () => Date.now(),
      () => {
        firedAt.push(Date.now() - START);
        if (firedAt.length < 3) void alarm.set(Date.now() + 1000);
      },
    );
    await alarm.set(START + 1000);
    await pass(10_000);
    expect(firedAt).toEqual([1000, 2000, 3000]);
  });

  it("supports delays beyond the maximum of setTimeout, with few wake-ups", async () => {
    let clockReads = 0;
    const { alarm, firedAt } = createAlarm(() => {
      clockReads += 1;
      return Date.now();
    });
    await alarm.set(START + 60 * DAY);
    await pass(1000);
    expect(clockReads).toBeLessThan(10);
    await pass(60 * DAY - 1001);
    expect(firedAt).toEqual([]);
    await pass(1);
    expect(firedAt).toEqual([60 * DAY]);
  });

  it("waits for the remaining time when its timer fires slightly before the clock", async () => {
    let lag = 0;
    const { alarm, firedAt } = createAlarm(() => Date.now() - lag);
    await alarm.set(START + 1000);
    lag = 2;
    await pass(1000);
    expect(firedAt).toEqual([]);
    expect(await alarm.get()).toBe(START + 1000);
    await pass(2);
    expect(firedAt).toEqual([1002]);
  });

  it("is not delayed when the clock is set back", async () => {
    let lag = 0;
    const { alarm, firedAt } = createAlarm(() => Date.now() - lag);
    await alarm.set(START + 60 * DAY);
    lag = DAY;
    await pass(60 * DAY);
    expect(firedAt).toEqual([60 * DAY]);
    expect(await alarm.get()).toBeNull();
  });
});
