import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CheckStatus, checkNames, checkStatuses, type Health } from "../../src/exposures/health.ts";
import { type HealthHistory, trackHealth } from "../../src/exposures/health-history.ts";

/** A health of which only the first check is not well. */
function healthOf(status: CheckStatus): Health {
  const checks = checkNames.map((name, index) => {
    return { name, status: index === 0 ? status : "healthy", detail: `${name}.`, figures: {} } as const;
  });
  return { status, checks };
}

/** What is told at each of several refreshes: the status, or nothing. */
function told(statuses: readonly CheckStatus[]): (string | null)[] {
  let history: HealthHistory = {};
  return statuses.map((status) => {
    const { transitions, ...next } = trackHealth(history, healthOf(status));
    history = next.history;
    expect(transitions.length).toBeLessThanOrEqual(1);
    return transitions[0]?.status ?? null;
  });
}

const [w, u, ok, wait] = ["warning", "unhealthy", "healthy", "waiting"] as const;

describe("a check that turns bad", () => {
  it.each([
    ["is told at the second refresh in a row", [ok, u, u], [null, null, u]],
    ["is told by the first two refreshes there are", [w, w], [null, w]],
    ["is not told for one refresh", [ok, u, ok, ok], [null, null, null, null]],
    ["is not told if it comes and goes", [u, ok, u, ok, u, wait, u], Array(7).fill(null)],
    ["is told once, however long it lasts", [w, w, w, w, w], [null, w, null, null, null]],
    ["is told again when it comes back after it was well", [w, w, ok, w, w], [null, w, null, null, w]],
    ["is told again when it gets worse, again in two refreshes", [w, w, u, u, u], [null, w, null, u, null]],
    ["is told for what two refreshes have in common", [w, u, u], [null, w, u]],
    ["is not told again when it only gets better", [u, u, w, w, u, u], [null, u, null, null, null, null]],
    ["waits for nothing", [wait, wait, wait], [null, null, null]],
    ["is told after it had to wait", [u, u, wait, u, u], [null, u, null, null, u]],
  ] as const)("%s", (_, statuses, expected) => {
    expect(told(statuses)).toEqual(expected);
  });

  it("is told apart from every other check", () => {
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

  it("is never told twice between two refreshes at which it was well, and never less than two bad ones after one", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...checkStatuses), { maxLength: 30 }), (statuses) => {
        const seen = { warning: false, unhealthy: false };
        for (const [index, status] of told(statuses).entries()) {
          const now = statuses[index];
          if (now === ok || now === wait) seen.warning = seen.unhealthy = false;
          if (status === w || status === u) {
            expect(seen[status]).toBe(false);
            seen[status] = true;
            expect([w, u]).toContain(statuses[index - 1]);
            expect([w, u]).toContain(now);
          }
        }
      }),
    );
  });

  it("needs nothing remembered once it is well", () => {
    const bad = trackHealth({}, healthOf(u));
    expect(bad.history).toEqual({ sample_ratio: { last: 2, alerted: 0 } });
    expect(trackHealth(bad.history, healthOf(ok)).history).toEqual({});
  });
});
