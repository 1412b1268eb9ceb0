import { expect, it } from "vitest";
import { DAY } from "../../src/exposures/buckets.ts";
import { hasExpired } from "../../src/exposures/expiry.ts";

const NOW = Date.UTC(2026, 5, 1);

it("events expire after their last day", () => {
  expect(hasExpired(NOW - 90 * DAY, NOW, 90)).toBe(false);
  expect(hasExpired(NOW - 90 * DAY - 1, NOW, 90)).toBe(true);
});

it("events never expire in a warehouse that keeps them", () => {
  expect(hasExpired(0, NOW, 0)).toBe(false);
});
