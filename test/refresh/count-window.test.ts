import { describe, expect, it } from "vitest";
import type { Metric } from "../../src/experiment.ts";
import { countWindow } from "../../src/refresh/count-window.ts";
import { failed, ok } from "../../src/result.ts";
import type { Warehouse } from "../../src/warehouse/client.ts";

const START = Date.UTC(2026, 5, 1);
const TIMEOUT = 30_000;
const metric: Metric = {
  key: "purchase",
  name: "Purchases",
  event: "purchase",
  aggregation: "count",
  expectedDirection: "increase",
  conversionWindowHours: null,
  lookbackDays: 0,
};

describe("countWindow", () => {
  it("gives the exposures a deadline of their own after the query of metrics has timed out", async () => {
    let now = START;
    const clock = () => now;
    const withDeadline = (deadline: number): Warehouse => ({
      table: { database: "default", table: "events" },
      async select(sql) {
        if (sql.includes("'moments'")) now = deadline;
        return now >= deadline ? failed({ kind: "timeout" }) : ok([]);
      },
      command: async () => ok(null),
      withSharedDeadline: () => withDeadline(now + TIMEOUT),
    });
    const unlimited = withDeadline(Number.POSITIVE_INFINITY);
    const logged: unknown[] = [];
    const log = (...line: unknown[]) => void logged.push(line);
    const deps = { warehouse: unlimited.withSharedDeadline(clock), states: null, clock, log };
    const experiment = { experimentId: "some", environmentKey: "env", featureName: "button", startedAt: START };
    const window = { from: START, to: START + 1000 };
    const target = { experiment, metrics: [metric], window, isSettled: false, isExpiring: false };
    expect(await countWindow(deps, unlimited, target)).toMatchObject({
      ok: true,
      value: { results: "failed", source: "events", counted: { counts: [] } },
    });
    expect(logged).toMatchObject([["warn", "results.failed", { experiment_id: "some", kind: "timeout" }]]);
  });
});
