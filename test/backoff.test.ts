import { describe, expect, it } from "vitest";
import { retryDelay } from "../src/backoff.ts";
import { REFRESH_RETRIES } from "../src/refresh/retries.ts";

/** The delays of consecutive retries until they are used up. */
function delays(random: number): number[] {
  const all: number[] = [];
  for (let failures = 1; failures < 100; failures++) {
    const delay = retryDelay(failures, random, REFRESH_RETRIES);
    if (delay === null) break;
    all.push(delay);
  }
  return all;
}

describe("retryDelay", () => {
  it("grows from 5 s to 300 s, and ends after five retries", () => {
    expect(delays(0)).toEqual([5_000, 15_000, 45_000, 135_000, 300_000]);
  });

  it("allows all retries for any random number", () => {
    for (const random of [0, 0.25, 0.5, 0.999_999]) expect(delays(random)).toHaveLength(5);
  });

  it("shortens a delay at random by up to half", () => {
    const longest = delays(0);
    const middle = delays(0.5);
    const shortest = delays(1 - Number.EPSILON);
    longest.forEach((delay, index) => {
      expect(middle[index]).toBe(delay * 0.75);
      expect(shortest[index]).toBe(delay / 2);
    });
  });

  it("returns whole milliseconds that grow with each failure", () => {
    for (const random of [0, 1 / 3, 0.777, 0.999]) {
      const all = delays(random);
      expect(all.every(Number.isInteger)).toBe(true);
      expect(all).toEqual([...all].sort((a, b) => a - b));
      expect(new Set(all).size).toBe(all.length);
    }
  });

  it.each([6, 7, 1_000_000])("returns null after %i failures in a row", (failures) => {
    expect(retryDelay(failures, 0, REFRESH_RETRIES)).toBeNull();
  });
});
