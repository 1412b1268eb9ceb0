import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CheckStatus, checkNames, checkStatuses, type Health } from "../../src/exposures/health.ts";
import { type HealthHistory, parseHealthHistory, trackHealth } from "../../src/exposures/health-history.ts";

/** A health in which the first check has this status, and the others are healthy. */
function healthOf(status: CheckStatus): Health {
  const checks = checkNames.map((name, index) => {
    return { name, status: index === 0 ? status : "healthy", detail: `${name}.`, figures: {} } as const;
  });
  return { status, checks };
}

/** The status alerted at each of several refreshes; null: none. */
function alertedStatuses(statuses: readonly CheckStatus[]): (string | null)[] {
  let history: HealthHistory = {};
  return statuses.map((status) => {
    const { transitions, ...next } = trackHealth(history, healthOf(status));
    history = next.history;
    expect(transitions.length).toBeLessThanOrEqual(1);
    return transitions[0]?.status ?? null;
  });
}

const [w, u, ok, wait, over] = ["warning", "unhealthy", "healthy", "waiting", "resolved"] as const;

describe("parseHealthHistory", () => {
  it("returns the entries of known checks, whatever else is stored", () => {
    const window = { last: 1, alerted: 2 };
    const others = { of_tomorrow: window, late_events: { last: 1, told: 1 }, invalid_events: null, sample_ratio: "x" };
    expect(parseHealthHistory(JSON.stringify({ ...others, window }))).toEqual({ window });
  });

  it.each(["{}", "[]", "null", "1", '"text"'])("returns an empty history for %s", (json) => {
    expect(parseHealthHistory(json)).toEqual({});
  });
});

describe("trackHealth", () => {
  it.each([
    ["alerts at the second bad refresh in a row", [ok, u, u], [null, null, u]],
    ["alerts after the first two refreshes of an experiment", [w, w], [null, w]],
    ["does not alert after a single bad refresh", [ok, u, ok, ok], [null, null, null, null]],
    ["does not alert if the status alternates", [u, ok, u, ok, u, wait, u], Array(7).fill(null)],
    ["alerts once while the status lasts", [w, w, w, w, w], [null, w, null, null, null]],
    ["resolves at the second healthy refresh in a row, once", [w, w, ok, ok, ok], [null, w, null, over, null]],
    ["does not resolve after a single healthy refresh", [w, w, ok, w, ok, w], [null, w, null, null, null, null]],
    ["does not resolve what it did not alert", [w, ok, ok, u, ok, ok], Array(6).fill(null)],
    [
      "alerts again when the check turns bad after it was resolved",
      [w, w, ok, ok, w, w],
      [null, w, null, over, null, w],
    ],
    ["alerts when an open alert gets worse after a healthy refresh", [w, w, ok, u, u], [null, w, null, null, u]],
    ["alerts again when the check is worse at two refreshes", [w, w, u, u, u], [null, w, null, u, null]],
    ["alerts the milder status of two refreshes first", [w, u, u], [null, w, u]],
    [
      "does not alert again after the check improves to a warning",
      [u, u, w, w, u, u],
      [null, u, null, null, null, null],
    ],
    ["does not alert a waiting check", [wait, wait, wait], [null, null, null]],
    ["resolves a check that waits again", [u, u, wait, ok, u, u], [null, u, null, over, null, u]],
  ] as const)("%s", (_, statuses, expected) => {
    expect(alertedStatuses(statuses)).toEqual(expected);
  });

  it("tracks each check separately", () => {
    const bad = (...names: string[]): Health => {
      const checks = checkNames.map((name) => {
        return { name, status: names.includes(name) ? w : ok, detail: "", figures: {} };
      });
      return { status: w, checks };
    };
    const first = trackHealth({}, bad("window"));
    const second = trackHealth(first.history, bad("window", "late_events"));
    const third = trackHealth(second.history, bad("window", "late_events"));
    const names = [first, second, third].map(({ transitions }) => transitions.map(({ check }) => check.name));
    expect(names).toEqual([[], ["window"], ["late_events"]]);
  });

  it("alerts and resolves in turn, each after two refreshes in a row that agree", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...checkStatuses), { maxLength: 30 }), (statuses) => {
        let open: string | null = null;
        for (const [index, status] of alertedStatuses(statuses).entries()) {
          if (status === null) continue;
          const seen = [statuses[index - 1], statuses[index]];
          if (status === over) {
            expect(open).not.toBeNull();
            for (const each of seen) expect([ok, wait]).toContain(each);
          } else {
            expect([null, ...(status === u ? [w] : [])]).toContain(open);
            for (const each of seen) expect([w, u]).toContain(each);
          }
          open = status === over ? null : status;
        }
      }),
    );
  });

  it("drops the entry of a healthy check without an alert", () => {
    const bad = trackHealth({}, healthOf(u));
    expect(bad.history).toEqual({ sample_ratio: { last: 2, alerted: 0 } });
    expect(trackHealth(bad.history, healthOf(ok)).history).toEqual({});
  });
});
