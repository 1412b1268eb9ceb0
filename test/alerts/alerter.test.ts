import { beforeEach, describe, expect, it } from "vitest";
import { createAlerter } from "../../src/alerts/alerter.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import type { Alert } from "../../src/store/alerts.ts";
import { type Database, DatabaseUnavailable, runOnPrimary } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations.ts";

const START = Date.UTC(2026, 5, 1);

/** An alerter on a real database, where the clock, the alarm and the receiver do what a test says. */
async function createWorld() {
  const sqlite = openSqlite(":memory:");
  await migrate(sqlite, readMigrations("migrations/d1"));
  const state = {
    time: START,
    alarm: null as number | null,
    /** What the receiver answers to an alert: null is a yes. */
    answer: (_alert: Alert): string | null => null,
    posted: [] as { id: string; at: number }[],
    underWay: 0,
    mostAtOnce: 0,
    isDown: false,
    logs: [] as { level: string; event: string; fields: Record<string, unknown> | undefined }[],
  };
  const database: Database = {
    read: (statement) => sqlite.read(statement),
    transact: async (statements) => {
      if (state.isDown) throw new DatabaseUnavailable("down");
      return sqlite.transact(statements);
    },
  };
  const alerter = createAlerter({
    database,
    async post(alert, now) {
      state.posted.push({ id: alert.id, at: now });
      state.underWay += 1;
      state.mostAtOnce = Math.max(state.mostAtOnce, state.underWay);
      await new Promise((resolve) => setImmediate(resolve));
      state.underWay -= 1;
      return state.answer(alert);
    },
    alarm: {
      get: async () => state.alarm,
      async set(at) {
        state.alarm = at;
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

  /** The alarm goes off, if one is set: time passes until then. True if it did. */
  async function goOff(): Promise<boolean> {
    if (state.alarm === null) return false;
    state.time = Math.max(state.time, state.alarm);
    state.alarm = null;
    await alerter.onAlarm();
    return true;
  }

  return { state, alerter, store, stored, goOff };
}

let world: Awaited<ReturnType<typeof createWorld>>;
beforeEach(async () => {
  world = await createWorld();
});

describe("an alerter that is asked", () => {
  it("delivers what is stored, and forgets it", async () => {
    await world.store("a");
    await world.store("b");
    await world.alerter.request();
    expect(await world.goOff()).toBe(true);
    expect(world.state.posted.map(({ id }) => id).sort()).toEqual(["a", "b"]);
    expect(await world.stored()).toEqual([]);
    expect(world.state.logs.map(({ event }) => event)).toEqual(["alert.delivered", "alert.delivered"]);
    expect(await world.goOff()).toBe(false);
  });

  it("does nothing where there is nothing to deliver", async () => {
    await world.alerter.request();
    await world.goOff();
    expect(world.state).toMatchObject({ posted: [], alarm: null, logs: [] });
  });

  it("puts off no earlier alarm", async () => {
    world.state.alarm = START - 1;
    await world.alerter.request();
    expect(world.state.alarm).toBe(START - 1);
  });

  it("brings a later alarm forward", async () => {
    world.state.alarm = START + 1;
    await world.alerter.request();
    expect(world.state.alarm).toBe(START);
  });

  it("delivers hundreds, a few at once and so many a waking that an invocation bears it", async () => {
    const ids = Array.from({ length: 95 }, (_, index) => `alert-${String(index).padStart(2, "0")}`);
    for (const id of ids) await world.store(id);
    await world.alerter.request();
    let wakings = 0;
    for (let before = 0; await world.goOff(); before = world.state.posted.length) {
      wakings += 1;
      expect(world.state.posted.length - before).toBeLessThanOrEqual(20);
    }
    expect(wakings).toBe(5);
    expect(world.state.posted.map(({ id }) => id).sort()).toEqual(ids);
    expect(world.state.mostAtOnce).toBe(4);
    expect(world.state.time).toBe(START);
  });

  it("wakes one at a time", async () => {
    await world.store("a");
    await Promise.all([world.alerter.onAlarm(), world.alerter.onAlarm()]);
    expect(world.state.posted).toHaveLength(1);
  });
});

describe("an alert that is not taken", () => {
  it("is tried again from seconds to hours, and then given up, which the log says", async () => {
    world.state.answer = () => "status 500";
    await world.store("a");
    await world.alerter.request();
    while (await world.goOff());
    const delays = world.state.posted.slice(1).map(({ at }, index) => at - (world.state.posted[index]?.at ?? 0));
    expect(delays.map((delay) => delay / 1000)).toEqual([
      ...[5, 15, 45, 135, 405, 1215, 3645, 10_935],
      ...Array(4).fill(21_600),
    ]);
    expect(await world.stored()).toEqual([]);
    const events = world.state.logs.map(({ level, event }) => `${level} ${event}`);
    expect(events).toEqual([...Array(12).fill("warn alert.failed"), "error alert.given_up"]);
    expect(world.state.logs.at(-1)?.fields).toEqual({
      ...{ alert_id: "a", experiment_id: "some", reason: "status 500", tries: 13 },
    });
  });

  it("holds up no other", async () => {
    world.state.answer = ({ id }) => (id === "bad" ? "timeout" : null);
    await world.store("bad", START - 1);
    await world.store("good");
    await world.alerter.request();
    await world.goOff();
    expect(await world.stored()).toEqual(["bad"]);
    expect(world.state.alarm).toBe(START + 5_000);
  });

  it("is forgotten once it is taken", async () => {
    world.state.answer = () => (world.state.posted.length < 3 ? "unreachable" : null);
    await world.store("a");
    await world.alerter.request();
    while (await world.goOff());
    expect(world.state.posted).toHaveLength(3);
    expect(await world.stored()).toEqual([]);
  });
});

describe("a database that does not answer", () => {
  it("is asked again a minute later, and no alert is lost", async () => {
    await world.store("a");
    await world.alerter.request();
    world.state.isDown = true;
    await world.goOff();
    expect(world.state.logs.map(({ event }) => event)).toEqual(["alerts.failed"]);
    expect(world.state.alarm).toBe(START + 60_000);
    world.state.isDown = false;
    await world.goOff();
    expect(world.state.posted).toHaveLength(1);
    expect(await world.stored()).toEqual([]);
  });

  it("that is lost between delivery and forgetting has the alert delivered once more", async () => {
    await world.store("a");
    world.state.answer = () => {
      world.state.isDown = world.state.posted.length === 1;
      return null;
    };
    await world.alerter.request();
    await world.goOff();
    world.state.isDown = false;
    await world.goOff();
    expect(world.state.posted.map(({ id }) => id)).toEqual(["a", "a"]);
    expect(await world.stored()).toEqual([]);
  });
});
