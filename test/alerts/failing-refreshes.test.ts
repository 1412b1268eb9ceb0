import { beforeEach, describe, expect, it } from "vitest";
import { alertFailingRefreshes } from "../../src/alerts/failing-refreshes.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { NO_RESULT_HISTORY } from "../../src/results/result-history.ts";
import { type Database, DatabaseUnavailable, runOnPrimary } from "../../src/store/database.ts";
import { deleteExperiment, putExperiment } from "../../src/store/experiments.ts";
import { migrate } from "../../src/store/migrations.ts";
import { beginRefresh } from "../../src/store/refresh-basis.ts";
import { saveFailure } from "../../src/store/refresh-failures.ts";
import { keepSummary, saveSummary } from "../../src/store/refresh-results.ts";

const START = Date.UTC(2026, 5, 1);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let database: Database;
let logs: { level: string; event: string; fields: Record<string, unknown> | undefined }[];
let requests: number;
beforeEach(async () => {
  database = openSqlite(":memory:");
  await migrate(database, readMigrations("migrations/d1"));
  logs = [];
  requests = 0;
});

async function put(...ids: string[]): Promise<void> {
  for (const id of ids) {
    const input = { id, name: id, environmentKey: "env", featureName: id, variants: [], metrics: [], endedAt: null };
    expect(await putExperiment(database, { ...input, startedAt: START - HOUR }, null, START)).toMatchObject({
      ok: true,
    });
  }
}

async function basisOf(id: string) {
  const basis = await beginRefresh(database, id);
  if (basis === null) throw new Error(`${id} is missing.`);
  return basis;
}

async function fail(at: number, kind: string, ...ids: string[]): Promise<void> {
  for (const id of ids)
    await saveFailure(database, await basisOf(id), {
      failedAt: at,
      kind,
      failures: 0,
      retryAt: null,
      isCharged: false,
    });
}

async function succeed(at: number, ...ids: string[]): Promise<void> {
  const numbers = {
    isFinal: false,
    identities: 0,
    isIdle: false,
    exposures: "{}",
    healthHistory: {},
    resultHistory: NO_RESULT_HISTORY,
    alerts: [],
    results: null,
  };
  for (const id of ids)
    expect(await saveSummary(database, await basisOf(id), { ...numbers, asOf: at, computedAt: at })).toBe(true);
}

/** Ends a sweep at this time, and returns the alerts that it stored. */
async function endSweep(at: number, hasReceiver = true) {
  const alerts = {
    async request() {
      requests += 1;
    },
  };
  const log = (level: string, event: string, fields?: Record<string, unknown>) =>
    void logs.push({ level, event, fields });
  const before = await storedAlerts();
  await alertFailingRefreshes({ database, alerts: hasReceiver ? alerts : null, log }, at);
  return (await storedAlerts()).slice(before.length);
}

async function storedAlerts() {
  const rows = await runOnPrimary(database, { sql: "SELECT * FROM alerts ORDER BY rowid", values: [] });
  return rows.map((row) => ({
    experimentId: row["experiment_id"],
    dueAt: row["due_at"],
    ...JSON.parse(`${row["body"]}`),
  }));
}

const typesOf = (alerts: { type: string }[]) => alerts.map(({ type }) => type);

describe("an experiment whose refreshes fail", () => {
  it("is alerted once, after an hour, and resolved once after a success", async () => {
    await put("some", "other");
    await fail(START, "timeout", "some");
    await fail(START + 30 * MINUTE, "credentials", "some");
    expect(await endSweep(START + HOUR - 1)).toEqual([]);
    const [alert, ...more] = await endSweep(START + HOUR);
    expect(more).toEqual([]);
    expect(alert).toEqual({
      experimentId: null,
      dueAt: START + HOUR,
      type: "refresh.failing",
      timestamp: "2026-06-01T01:00:00.000Z",
      data: {
        experiments: 1,
        experiment_ids: ["some"],
        since: "2026-06-01T00:00:00.000Z",
        kind: "credentials",
        title: "Refreshes of 1 experiment have failed for an hour",
        detail: expect.stringMatching(/^The first failure was at 2026-06-01 00:00 UTC\. .*CLICKHOUSE_USER.*\.$/),
      },
    });
    expect(requests).toBe(1);
    await fail(START + 2 * HOUR, "credentials", "some");
    expect(await endSweep(START + 2 * HOUR)).toEqual([]);

    await succeed(START + 3 * HOUR, "some");
    expect(await endSweep(START + 3 * HOUR)).toMatchObject([
      { experimentId: null, type: "resolved", data: { alert: "refresh.failing", title: "Refreshes succeed again" } },
    ]);
    expect(await endSweep(START + 4 * HOUR)).toEqual([]);
    expect(logs.map(({ level, event }) => `${level} ${event}`)).toEqual([
      "error refresh.failing",
      "info refresh.resolved",
    ]);
  });

  it("is neither alerted nor resolved while its refreshes succeed, sweep after sweep", async () => {
    await put("some");
    for (let sweep = 1; sweep <= 3; sweep += 1) {
      await succeed(START + sweep * HOUR, "some");
      expect(await endSweep(START + sweep * HOUR)).toEqual([]);
    }
    expect([logs, requests]).toEqual([[], 0]);
  });

  it("is not alerted if a refresh succeeds within the hour, or if a count was only incomplete", async () => {
    await put("some", "incomplete");
    await fail(START, "timeout", "some", "incomplete");
    await succeed(START + 30 * MINUTE, "some");
    await keepSummary(database, await basisOf("incomplete"), START + 30 * MINUTE, false);
    await fail(START + 45 * MINUTE, "timeout", "some");
    expect(await endSweep(START + HOUR)).toEqual([]);
  });

  it("is alerted again after it was resolved", async () => {
    await put("some");
    await fail(START, "timeout", "some");
    expect(typesOf(await endSweep(START + HOUR))).toEqual(["refresh.failing"]);
    await succeed(START + HOUR, "some");
    expect(typesOf(await endSweep(START + HOUR))).toEqual(["resolved"]);
    await fail(START + 2 * HOUR, "timeout", "some");
    expect(typesOf(await endSweep(START + 3 * HOUR))).toEqual(["refresh.failing"]);
  });

  it.each([
    ["deleted", () => deleteExperiment(database, "some", null)],
    [
      "turned into a draft",
      () => {
        const input = {
          id: "some",
          name: "some",
          environmentKey: "env",
          featureName: "some",
          variants: [],
          metrics: [],
          endedAt: null,
        };
        return putExperiment(database, { ...input, startedAt: START + 9 * HOUR }, null, START);
      },
    ],
  ])("is resolved when it is %s", async (_, change) => {
    await put("some");
    await fail(START, "timeout", "some");
    await endSweep(START + HOUR);
    await change();
    expect(typesOf(await endSweep(START + HOUR))).toEqual(["resolved"]);
  });

  it("is logged without a receiver, and no alert is stored", async () => {
    await put("some");
    await fail(START, "timeout", "some");
    expect(await endSweep(START + HOUR, false)).toEqual([]);
    expect(logs).toEqual([
      {
        level: "error",
        event: "refresh.failing",
        fields: { experiments: 1, experiment_ids: ["some"], kind: "timeout", advice: expect.any(String) },
      },
    ]);
  });

  it("is alerted with a kind of another version, too", async () => {
    await put("some");
    await fail(START, "of_tomorrow", "some");
    expect(await endSweep(START + HOUR)).toMatchObject([{ data: { kind: "of_tomorrow" } }]);
  });
});

describe("a warehouse that is down", () => {
  const ids = Array.from({ length: 40 }, (_, index) => `experiment-${String(index).padStart(2, "0")}`);

  it("is one alert for all experiments, with the most frequent kind", async () => {
    await put(...ids);
    await fail(START, "unreachable", ...ids.slice(0, 30));
    await fail(START, "timeout", ...ids.slice(30));
    expect(await endSweep(START + HOUR)).toMatchObject([
      {
        type: "refresh.failing",
        data: {
          experiments: 40,
          experiment_ids: ids.slice(0, 10),
          kind: "unreachable",
          title: "Refreshes of 40 experiments have failed for an hour",
        },
      },
    ]);
    await succeed(START + 2 * HOUR, ...ids.slice(1));
    expect(await endSweep(START + 2 * HOUR)).toEqual([]);
    await succeed(START + 2 * HOUR, ids[0] ?? "");
    expect(typesOf(await endSweep(START + 2 * HOUR))).toEqual(["resolved"]);
  });

  it("is alerted although one experiment's alert is open, and again after a recovery", async () => {
    await put(...ids);
    const [broken = "", ...others] = ids;
    await fail(START, "bad_rows", broken);
    expect(await endSweep(START + HOUR)).toMatchObject([{ data: { experiments: 1 } }]);
    await fail(START + HOUR, "unreachable", ...others);
    expect(await endSweep(START + 2 * HOUR)).toMatchObject([{ data: { experiments: 40 } }]);
    expect(await endSweep(START + 3 * HOUR)).toEqual([]);
    await succeed(START + 3 * HOUR, ...others);
    expect(await endSweep(START + 3 * HOUR)).toEqual([]);
    await fail(START + 4 * HOUR, "unreachable", ...others);
    expect(await endSweep(START + 5 * HOUR)).toMatchObject([{ data: { experiments: 40 } }]);
  });

  it("is alerted again once twice as many experiments fail as in the open alert, but not before", async () => {
    await put("a", "b", "c", "d");
    await fail(START, "overloaded", "a", "b");
    expect(await endSweep(START + HOUR)).toMatchObject([{ data: { experiments: 2 } }]);
    await fail(START + HOUR, "overloaded", "c");
    expect(await endSweep(START + 2 * HOUR)).toEqual([]);
    await fail(START + 2 * HOUR, "overloaded", "d");
    expect(await endSweep(START + 3 * HOUR)).toMatchObject([{ data: { experiments: 4 } }]);
  });

  it("is alerted once although two sweeps end at the same time", async () => {
    await put("some");
    await fail(START, "unreachable", "some");
    const stored = await Promise.all([endSweep(START + HOUR), endSweep(START + HOUR)]);
    expect(stored.flat().length).toBeGreaterThan(0);
    expect(await storedAlerts()).toHaveLength(1);
  });
});

describe("alertFailingRefreshes without its database", () => {
  const endSweepWith = (failure: Error) => {
    const log = (level: string, event: string, fields?: Record<string, unknown>) =>
      void logs.push({ level, event, fields });
    const broken = { ...database, transact: () => Promise.reject(failure) };
    return alertFailingRefreshes({ database: broken, alerts: null, log }, START);
  };

  it("logs the cause, and does not throw", async () => {
    await endSweepWith(new DatabaseUnavailable("outage"));
    const error = expect.stringContaining("The database did not answer.");
    expect(logs).toEqual([{ level: "error", event: "alerts.failed", fields: { error } }]);
  });

  it("throws a bug rather than log it as an outage", async () => {
    await expect(endSweepWith(new TypeError("a bug"))).rejects.toThrow("a bug");
    expect(logs).toEqual([]);
  });
});
