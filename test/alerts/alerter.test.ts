import { beforeEach, describe, expect, it } from "vitest";
import { createAlerter, requestDelivery } from "../../src/alerts/alerter.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Alert } from "../../src/store/alerts.ts";
import { type Database, DatabaseUnavailable, runOnPrimary } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations.ts";

const START = Date.UTC(2026, 5, 1);

/** An alerter on a real database. The test controls the clock, the alarm and the receiver. */
async function start() {
  const sqlite = openSqlite(":memory:");
  await migrate(sqlite, readMigrations("migrations/d1"));
  const state = {
    time: START,
    alarm: null as number | null,
    /** The number of times that the alarm was set. */
    alarmsSet: 0,
    /** The reason for which the receiver refuses an alert; null: it accepts the alert. */
    refusal: (_alert: Alert): string | null => null,
    posted: [] as { id: string; at: number }[],
    inFlight: 0,
    maxInFlight: 0,
    /** True if the database fails a statement. */
    isDown: (_sql: string): boolean => false,
    logs: [] as { level: string; event: string; fields: Record<string, unknown> | undefined }[],
  };
  const database: Database = {
    read: (statement) => sqlite.read(statement),
    transact: async (statements) => {
      if (statements.some(({ sql }) => state.isDown(sql))) throw new DatabaseUnavailable("outage");
      return sqlite.transact(statements);
    },
  };
  const alerter = createAlerter({
    database,
    async post(alert, now) {
      state.posted.push({ id: alert.id, at: now });
      state.inFlight += 1;
      state.maxInFlight = Math.max(state.maxInFlight, state.inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      state.inFlight -= 1;
      return state.refusal(alert);
    },
    alarm: {
      get: async () => state.alarm,
      async set(at) {
        state.alarm = at;
        state.alarmsSet += 1;
      },
      async clear() {
        state.alarm = null;
      },
    },
    clock: () => state.time,
    random: () => 0,
    log: (level, event, fields) => void state.logs.push({ level, event, fields }),
  });

  const store = (id: string, dueAt = START) =>
    runOnPrimary(database, {
      sql: "INSERT INTO alerts (id, experiment_id, body, failures, due_at) VALUES (?, 'some', '{}', 0, ?)",
      values: [id, dueAt],
    });
  const stored = async () =>
    (await runOnPrimary(database, { sql: "SELECT id FROM alerts ORDER BY id", values: [] })).map(({ id }) => id);

  /** Advances the time to the alarm and fires it. Returns false if none is set. */
  async function fireAlarm(): Promise<boolean> {
    if (state.alarm === null) return false;
    state.time = Math.max(state.time, state.alarm);
    state.alarm = null;
    await alerter.onAlarm();
    return true;
  }

  return { state, alerter, store, stored, fireAlarm };
}

let harness: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  harness = await start();
});

describe("the alerter", () => {
  it("delivers the stored alerts, and deletes them", async () => {
    await harness.store("a", START - 1);
    await harness.store("b");
    await harness.alerter.request();
    expect(await harness.fireAlarm()).toBe(true);
    expect(harness.state.posted.map(({ id }) => id).sort()).toEqual(["a", "b"]);
    expect(await harness.stored()).toEqual([]);
    const line = { level: "info", event: "alert.delivered" };
    expect(harness.state.logs).toEqual([
      { ...line, fields: { alert_id: "a", experiment_id: "some" } },
      { ...line, fields: { alert_id: "b", experiment_id: "some" } },
    ]);
    expect(await harness.fireAlarm()).toBe(false);
  });

  it("does nothing without alerts", async () => {
    await harness.alerter.request();
    await harness.fireAlarm();
    expect(harness.state).toMatchObject({ posted: [], alarm: null, alarmsSet: 1, logs: [] });
  });

  it("does not postpone an earlier alarm", async () => {
    harness.state.alarm = START - 1;
    await harness.alerter.request();
    expect(harness.state.alarm).toBe(START - 1);
  });

  it("brings a later alarm forward", async () => {
    harness.state.alarm = START + 1;
    await harness.alerter.request();
    expect(harness.state.alarm).toBe(START);
  });

  it("delivers many alerts, up to 4 at once and 20 per alarm", async () => {
    const ids = Array.from({ length: 95 }, (_, index) => `alert-${String(index).padStart(2, "0")}`);
    for (const id of ids) await harness.store(id);
    await harness.alerter.request();
    let alarms = 0;
    for (let before = 0; await harness.fireAlarm(); before = harness.state.posted.length) {
      alarms += 1;
      expect(harness.state.posted.length - before).toBeLessThanOrEqual(20);
    }
    expect(alarms).toBe(5);
    expect(harness.state.posted.map(({ id }) => id).sort()).toEqual(ids);
    expect(harness.state.maxInFlight).toBe(4);
    expect(harness.state.time).toBe(START);
  });

  it("handles one alarm at a time", async () => {
    await harness.store("a");
    await Promise.all([harness.alerter.onAlarm(), harness.alerter.onAlarm()]);
    expect(harness.state.posted).toHaveLength(1);
  });
});

describe("an alert that the receiver does not accept", () => {
  it("is retried after seconds to hours, and is then dropped and logged", async () => {
    harness.state.refusal = () => "status 500";
    await harness.store("a");
    await harness.alerter.request();
    while (await harness.fireAlarm());
    const delays = harness.state.posted.slice(1).map(({ at }, index) => at - (harness.state.posted[index]?.at ?? 0));
    expect(delays.map((delay) => delay / 1000)).toEqual([
      ...[5, 15, 45, 135, 405, 1215, 3645, 10_935],
      ...Array(4).fill(21_600),
    ]);
    expect(await harness.stored()).toEqual([]);
    const events = harness.state.logs.map(({ level, event }) => `${level} ${event}`);
    expect(events).toEqual([...Array(12).fill("warn alert.failed"), "error alert.given_up"]);
    expect(harness.state.logs.map(({ fields }) => fields)).toEqual(
      Array.from({ length: 13 }, (_, index) => ({
        alert_id: "a",
        experiment_id: "some",
        reason: "status 500",
        tries: index + 1,
      })),
    );
  });

  it("does not delay other alerts", async () => {
    harness.state.refusal = ({ id }) => (id === "bad" ? "timeout" : null);
    await harness.store("bad", START - 1);
    await harness.store("good");
    await harness.alerter.request();
    await harness.fireAlarm();
    expect(await harness.stored()).toEqual(["bad"]);
    expect(harness.state.alarm).toBe(START + 5_000);
  });

  it("is deleted once it is accepted", async () => {
    harness.state.refusal = () => (harness.state.posted.length < 3 ? "unreachable" : null);
    await harness.store("a");
    await harness.alerter.request();
    while (await harness.fireAlarm());
    expect(harness.state.posted).toHaveLength(3);
    expect(await harness.stored()).toEqual([]);
  });
});

describe("the alerter without its database", () => {
  it("retries after a minute, and loses no alert", async () => {
    await harness.store("a");
    await harness.alerter.request();
    harness.state.isDown = () => true;
    await harness.fireAlarm();
    const error = expect.stringContaining("The database did not answer.");
    expect(harness.state.logs).toEqual([{ level: "error", event: "alerts.failed", fields: { error } }]);
    expect(harness.state.alarm).toBe(START + 60_000);
    harness.state.isDown = () => false;
    await harness.fireAlarm();
    expect(harness.state.posted).toHaveLength(1);
    expect(await harness.stored()).toEqual([]);
  });

  it("delivers an alert twice if its deletion fails", async () => {
    await harness.store("a");
    harness.state.refusal = () => {
      harness.state.isDown = () => harness.state.posted.length === 1;
      return null;
    };
    await harness.alerter.request();
    await harness.fireAlarm();
    harness.state.isDown = () => false;
    await harness.fireAlarm();
    expect(harness.state.posted.map(({ id }) => id)).toEqual(["a", "a"]);
    expect(await harness.stored()).toEqual([]);
  });

  it("does not repeat a delivery at once while only deletions fail", async () => {
    await harness.store("a");
    harness.state.isDown = (sql) => sql.startsWith("DELETE");
    await harness.alerter.request();
    await harness.fireAlarm();
    expect(harness.state.logs.map(({ event }) => event)).toEqual(["alerts.failed"]);
    expect(harness.state.alarm).toBe(START + 60_000);
  });
});

describe("requestDelivery", () => {
  const logs: unknown[][] = [];
  const log = (...line: unknown[]) => void logs.push(line);
  beforeEach(() => {
    logs.length = 0;
  });

  it("requests the delivery", async () => {
    await requestDelivery(harness.alerter, log);
    expect([harness.state.alarm, logs]).toEqual([START, []]);
  });

  it("does nothing and logs nothing without a receiver", async () => {
    await requestDelivery(null, log);
    expect(logs).toEqual([]);
  });

  it("logs why the alerter can't be reached, and does not throw", async () => {
    await requestDelivery({ request: () => Promise.reject(new Error("The object was reset.")) }, log);
    const error = expect.stringContaining("The object was reset.");
    expect(logs).toEqual([["warn", "alerter.unreachable", { error }]]);
  });
});
