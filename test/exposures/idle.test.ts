import { expect, it } from "vitest";
import { DAY, type Window } from "../../src/exposures/buckets.ts";
import { isIdle } from "../../src/exposures/idle.ts";

const FROM = Date.UTC(2026, 5, 1);
const windowOf = (days: number): Window => ({ from: FROM, to: FROM + days * DAY });

it.each([
  { when: "the latest exposure was 30 days before its end", days: 40, latest: 10 * DAY, expected: true },
  { when: "the latest exposure was a moment later", days: 40, latest: 10 * DAY + 1, expected: false },
  { when: "it has no exposure in its 30 days", days: 30, latest: null, expected: true },
  { when: "it is younger than 30 days and has no exposure", days: 29, latest: null, expected: false },
])("a window is idle ($expected) if $when", ({ days, latest, expected }) => {
  expect(isIdle(windowOf(days), latest === null ? null : FROM + latest)).toBe(expected);
});
