import { describe, expect, it } from "vitest";
import { statusAt } from "../src/experiment.ts";

const START = Date.UTC(2026, 5, 1);
const END = Date.UTC(2026, 5, 15);

describe("statusAt", () => {
  it.each([
    { when: "no start is planned", startedAt: null, endedAt: null, now: START, status: "draft" },
    { when: "no start is planned, though an end is", startedAt: null, endedAt: END, now: END + 1, status: "draft" },
    { when: "it starts in a millisecond", startedAt: START, endedAt: null, now: START - 1, status: "draft" },
    { when: "it starts now", startedAt: START, endedAt: null, now: START, status: "running" },
    { when: "it has no end", startedAt: START, endedAt: null, now: END + 1e12, status: "running" },
    { when: "it ends in a millisecond", startedAt: START, endedAt: END, now: END - 1, status: "running" },
    { when: "it ends now", startedAt: START, endedAt: END, now: END, status: "completed" },
    { when: "it has ended", startedAt: START, endedAt: END, now: END + 1, status: "completed" },
    { when: "its only millisecond is now", startedAt: START, endedAt: START + 1, now: START, status: "running" },
    { when: "its only millisecond is over", startedAt: START, endedAt: START + 1, now: START + 1, status: "completed" },
    { when: "start and end are in the future", startedAt: START, endedAt: END, now: START - 1, status: "draft" },
  ])("returns $status when $when", ({ startedAt, endedAt, now, status }) => {
    expect(statusAt({ startedAt, endedAt }, now)).toBe(status);
  });
});
