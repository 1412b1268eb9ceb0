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

/** An alarm, and when it went off. */
function createAlarm(clock = () => Date.now()) {
  const wentOff: number[] = [];
  const alarm = createTimerAlarm(clock, () => wentOff.push(Date.now() - START));
  return { alarm, wentOff };
}

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

describe("an alarm of the process", () => {
  it("goes off once, when it is due, and is not set any more by then", async () => {
    const { alarm, wentOff } = createAlarm();
    expect(await alarm.get()).toBeNull();
    await alarm.set(START + 1000);
    expect(await alarm.get()).toBe(START + 1000);
    await pass(999);
    expect(wentOff).toEqual([]);
    await pass(1);
    expect(wentOff).toEqual([1000]);
    expect(await alarm.get()).toBeNull();
    await pass(DAY);
    expect(wentOff).toEqual([1000]);
  });

  it("goes off at once for a time that has passed", async () => {
    const { alarm, wentOff } = createAlarm();
    await alarm.set(START - DAY);
    await pass(1);
    expect(wentOff).toHaveLength(1);
  });

  it.each([
    { what: "sooner", at: 400 },
    { what: "later", at: 4000 },
  ])("has one time, which setting it $what replaces", async ({ at }) => {
    const { alarm, wentOff } = createAlarm();
    await alarm.set(START + 1000);
    await alarm.set(START + at);
    expect(await alarm.get()).toBe(START + at);
    await pass(10_000);
    expect(wentOff).toEqual([at]);
  });

  it("does not go off after it was cleared, and can be set again", async () => {
    const { alarm, wentOff } = createAlarm();
    await alarm.set(START + 1000);
    await alarm.clear();
    expect(await alarm.get()).toBeNull();
    await pass(2000);
    expect(wentOff).toEqual([]);
    await alarm.set(START + 3000);
    await pass(1000);
    expect(wentOff).toEqual([3000]);
  });

  it("may be set again by what it wakes", async () => {
    const wentOff: number[] = [];
    const alarm = createTimerAlarm(
      () => Date.now(),
      () => {
        wentOff.push(Date.now() - START);
        if (wentOff.length < 3) void alarm.set(Date.now() + 1000);
      },
    );
    await alarm.set(START + 1000);
    await pass(10_000);
    expect(wentOff).toEqual([1000, 2000, 3000]);
  });

  it("reaches beyond the longest timer that a runtime has, without waking all the time until then", async () => {
    let looks = 0;
    const { alarm, wentOff } = createAlarm(() => {
      looks += 1;
      return Date.now();
    });
    await alarm.set(START + 60 * DAY);
    await pass(1000);
    expect(looks).toBeLessThan(10);
    await pass(60 * DAY - 1001);
    expect(wentOff).toEqual([]);
    await pass(1);
    expect(wentOff).toEqual([60 * DAY]);
  });

  it("waits for the rest when its timer is a moment too early for the clock", async () => {
    let slow = 0;
    const { alarm, wentOff } = createAlarm(() => Date.now() - slow);
    await alarm.set(START + 1000);
    slow = 2;
    await pass(1000);
    expect(wentOff).toEqual([]);
    expect(await alarm.get()).toBe(START + 1000);
    await pass(2);
    expect(wentOff).toEqual([1002]);
  });

  it("is not put off by a clock that is set back meanwhile", async () => {
    let slow = 0;
    const { alarm, wentOff } = createAlarm(() => Date.now() - slow);
    await alarm.set(START + 60 * DAY);
    slow = DAY;
    await pass(60 * DAY);
    expect(wentOff).toEqual([60 * DAY]);
    expect(await alarm.get()).toBeNull();
  });
});
