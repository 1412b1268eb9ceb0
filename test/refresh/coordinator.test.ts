import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Coordinator, type CoordinatorState, createCoordinator } from "../../src/refresh/coordinator.ts";
import type { RefreshOutcome, RefreshTrigger } from "../../src/refresh/coordinator-types.ts";
import { DatabaseUnavailable } from "../../src/store/database.ts";

const REFRESHED: RefreshOutcome = { status: "refreshed" };
const TRANSIENT: RefreshOutcome = { status: "failed", kind: "timeout", transient: true };
const PERMANENT: RefreshOutcome = { status: "failed", kind: "missing_table", transient: false };
const skipped = (reason: "not_found" | "not_started" | "final" | "superseded"): RefreshOutcome => ({
  status: "skipped",
  reason,
});

const START = Date.UTC(2026, 5, 1);
const INTERVAL = 300_000;
const SECOND = 1000;
/** With no luck at all: each delay in full. */
const BACKOFF = [5, 15, 45, 135, 300].map((seconds) => seconds * SECOND);

/** Lets everything happen that waits for nothing but its turn. */
const flush = () => new Promise<void>((resolve) => setImmediate(resolve));

/** One call of `refresh`, under way until the test ends it. */
type Run = { now: number; end(outcome: RefreshOutcome): Promise<void>; fail(error: unknown): Promise<void> };

/**
 * A coordinator in a world where only the test moves: its clock, its alarm, its storage, and refreshes that end when
 * the test says so. As in a Durable Object, the alarm and the memory outlive the coordinator, an alarm that goes off
 * is no longer set, and one whose handler did not come to its end goes off again.
 */
function createWorld({ storage = () => Promise.resolve() }: { storage?: () => Promise<void> } = {}) {
  const state = {
    time: START,
    alarm: null as number | null,
    memory: null as CoordinatorState | null,
    /** Every refresh that began, in order. */
    runs: [] as Run[],
    /** Those that have not ended, in the coordinator that is alive. */
    underWay: 0,
    mostAtOnce: 0,
    logs: [] as { level: string; event: string; fields: object }[],
  };
  let life = 0;
  let handling = 0;
  let coordinator = awaken();

  async function write<Key extends "alarm" | "memory">(key: Key, value: (typeof state)[Key]): Promise<void> {
    await storage();
    state[key] = value;
  }

  function awaken(): Coordinator {
    const born = life;
    return createCoordinator({
      experimentId: "checkout-cta",
      refresh(now) {
        const { promise, resolve, reject } = Promise.withResolvers<RefreshOutcome>();
        state.underWay += 1;
        state.mostAtOnce = Math.max(state.mostAtOnce, state.underWay);
        const ended = () => {
          if (born === life) state.underWay -= 1;
          return flush();
        };
        state.runs.push({
          now,
          async end(outcome) {
            resolve(outcome);
            await ended();
          },
          async fail(error) {
            reject(error);
            await ended();
          },
        });
        return promise;
      },
      alarm: {
        get: () => storage().then(() => state.alarm),
        set: (at) => write("alarm", at),
        clear: () => write("alarm", null),
      },
      storage: {
        load: () => storage().then(() => structuredClone(state.memory)),
        save: (memory) => write("memory", structuredClone(memory)),
        clear: () => write("memory", null),
      },
      minIntervalMs: INTERVAL,
      clock: () => state.time,
      random: () => 0,
      log: (level, event, fields = {}) => state.logs.push({ level, event, fields }),
    });
  }

  return {
    state,
    refresh: (now: number) => coordinator.refresh(now),
    wake: () => coordinator.onAlarm(),
    async ask(ask: RefreshTrigger): Promise<void> {
      await coordinator.request(ask);
      await flush();
    },
    /** Lets time pass, and the alarm go off if it is due by then. */
    async pass(milliseconds: number): Promise<void> {
      state.time += milliseconds;
      if (state.alarm === null || state.alarm > state.time) return;
      state.alarm = null;
      const born = life;
      handling += 1;
      void coordinator.onAlarm().then(() => {
        if (born === life) handling -= 1;
      });
      await flush();
    },
    /** The process dies and another takes over what is stored. */
    evict(): void {
      life += 1;
      if (handling > 0) state.alarm ??= state.time;
      handling = 0;
      state.underWay = 0;
      coordinator = awaken();
    },
    /** The newest refresh. */
    run(): Run {
      const run = state.runs.at(-1);
      if (run === undefined) throw new Error("no refresh has begun");
      return run;
    },
    /** In how many milliseconds the alarm goes off. */
    alarmIn: () => (state.alarm === null ? null : state.alarm - state.time),
  };
}

/** A world in which a call has been served just now, so that the minimum interval runs. */
async function afterACall() {
  const world = createWorld();
  await world.ask("manual");
  await world.pass(0);
  await world.run().end(REFRESHED);
  return world;
}

describe("refreshing through a coordinator", () => {
  it("begins at once, with the caller's now, and tells how it ended", async () => {
    const world = createWorld();
    const outcome = world.refresh(START + 7);
    expect(world.state.runs.map(({ now }) => now)).toEqual([START + 7]);
    await world.run().end(TRANSIENT);
    expect(await outcome).toEqual(TRANSIENT);
  });

  it("never runs twice at once: who comes meanwhile waits for one further run and shares it", async () => {
    const world = createWorld();
    const first = world.refresh(START);
    const others = [5, 9, 7].map((later) => world.refresh(START + later));
    await flush();
    expect(world.state.runs).toHaveLength(1);
    await world.run().end(REFRESHED);
    expect(await first).toEqual(REFRESHED);
    expect(world.state.runs, "one further run, with the largest now of all who wait for it").toMatchObject([
      { now: START },
      { now: START + 9 },
    ]);
    await world.run().end(PERMANENT);
    expect(await Promise.all(others)).toEqual([PERMANENT, PERMANENT, PERMANENT]);
    expect(world.state.runs).toHaveLength(2);
    expect(world.state.mostAtOnce).toBe(1);
  });

  it("takes the following run's now from those who wait for it, though the one under way had a larger one", async () => {
    const world = createWorld();
    void world.refresh(START + 100);
    void world.refresh(START + 1);
    await world.run().end(REFRESHED);
    expect(world.run().now).toBe(START + 1);
    await world.run().end(REFRESHED);
  });

  it("gives who comes during the further run another one", async () => {
    const world = createWorld();
    void world.refresh(START);
    void world.refresh(START + 1);
    await world.run().end(REFRESHED);
    const third = world.refresh(START + 2);
    await world.run().end(REFRESHED);
    expect(world.state.runs.map(({ now }) => now)).toEqual([START, START + 1, START + 2]);
    await world.run().end(PERMANENT);
    expect(await third).toEqual(PERMANENT);
  });

  it("goes on after a run that failed or threw", async () => {
    const world = createWorld();
    void world.refresh(START);
    const second = world.refresh(START + 1);
    await world.run().fail(new Error("boom"));
    await world.run().end(REFRESHED);
    expect(await second).toEqual(REFRESHED);
    const third = world.refresh(START + 2);
    await world.run().end(REFRESHED);
    expect(await third).toEqual(REFRESHED);
  });

  it("refreshes as of the time it wakes", async () => {
    const world = createWorld();
    await world.ask("manual");
    world.state.time += 250;
    await world.pass(0);
    expect(world.run().now).toBe(START + 250);
    await world.run().end(REFRESHED);
  });

  it("shares the further run with a waking that comes while one is under way", async () => {
    const world = createWorld();
    void world.refresh(START);
    await world.ask("manual");
    await world.pass(10);
    const caller = world.refresh(START + 5);
    expect(world.state.runs).toHaveLength(1);
    await world.run().end(REFRESHED);
    expect(world.run().now).toBe(START + 10);
    await world.run().end(REFRESHED);
    expect(await caller).toEqual(REFRESHED);
    expect(world.state.runs).toHaveLength(2);
    expect(world.state.alarm).toBeNull();
  });
});

describe("a refresh that fails for a transient reason", () => {
  it("is retried with backoff, and after the last retry left to the next sweep", async () => {
    const world = createWorld();
    void world.refresh(START);
    const delays: number[] = [];
    for (;;) {
      await world.run().end(TRANSIENT);
      const delay = world.alarmIn();
      if (delay === null) break;
      delays.push(delay);
      await world.pass(delay);
    }
    expect(delays).toEqual(BACKOFF);
    expect(world.state.runs).toHaveLength(1 + BACKOFF.length);
  });

  it("starts with the shortest delay again after the retries were used up", async () => {
    const world = createWorld();
    for (let failures = 0; failures < 1 + BACKOFF.length; failures++) {
      void world.refresh(world.state.time);
      await world.run().end(TRANSIENT);
    }
    expect(world.alarmIn()).toBeNull();
    void world.refresh(world.state.time);
    await world.run().end(TRANSIENT);
    expect(world.alarmIn()).toBe(BACKOFF[0]);
  });

  it("starts with the shortest delay again after a success, which also ends the waiting for a retry", async () => {
    const world = createWorld();
    for (const outcome of [TRANSIENT, TRANSIENT, REFRESHED]) {
      void world.refresh(START);
      await world.run().end(outcome);
    }
    expect(world.alarmIn()).toBeNull();
    expect(world.state.memory?.failures).toBe(0);
    void world.refresh(START);
    await world.run().end(TRANSIENT);
    expect(world.alarmIn()).toBe(BACKOFF[0]);
  });

  it("counts its failures through an eviction", async () => {
    const world = createWorld();
    for (const delay of BACKOFF.slice(0, 3)) {
      void world.refresh(START);
      await world.run().end(TRANSIENT);
      expect(world.alarmIn()).toBe(delay);
      world.state.alarm = null;
      world.evict();
    }
  });

  it("does not put off an alarm that goes off sooner", async () => {
    const world = createWorld();
    void world.refresh(START);
    await world.run().end(TRANSIENT);
    world.state.time += 4 * SECOND;
    void world.refresh(world.state.time);
    await world.run().end(TRANSIENT);
    expect(world.alarmIn()).toBe(SECOND);
  });

  it("is not retried later because of a hint that was put off", async () => {
    const world = await afterACall();
    await world.ask("webhook");
    void world.refresh(START);
    await world.run().end(TRANSIENT);
    expect(world.alarmIn()).toBe(BACKOFF[0]);
  });
});

describe("an outcome that no retry would change", () => {
  it.each([
    { what: "a success", outcome: REFRESHED },
    { what: "a permanent failure", outcome: PERMANENT },
    { what: "a result that something newer made worthless", outcome: skipped("superseded") },
    { what: "an experiment that has not started", outcome: skipped("not_started") },
    { what: "an experiment that is gone", outcome: skipped("not_found") },
    { what: "a final experiment", outcome: skipped("final") },
  ])("sets no alarm and drops the one for a retry: $what", async ({ outcome }) => {
    const world = createWorld();
    void world.refresh(START);
    await world.run().end(outcome);
    expect(world.state.alarm).toBeNull();

    void world.refresh(START);
    await world.run().end(TRANSIENT);
    expect(world.state.alarm).not.toBeNull();
    void world.refresh(START);
    await world.run().end(outcome);
    expect(world.state.alarm).toBeNull();
    expect(world.state.memory?.failures ?? 0).toBe(0);
  });

  it.each([
    { what: "is gone", reason: "not_found" as const },
    { what: "is final", reason: "final" as const },
  ])("leaves nothing in storage when the experiment $what", async ({ reason }) => {
    const world = await afterACall();
    await world.ask("webhook");
    expect(world.state.memory).not.toBeNull();
    void world.refresh(START);
    await world.run().end(skipped(reason));
    expect(world.state.memory).toBeNull();
    expect(world.state.alarm).toBeNull();

    await world.ask("webhook");
    expect(world.alarmIn(), "no interval outlives it").toBe(0);
  });

  it.each([
    { what: "is gone", reason: "not_found" as const },
    { what: "is final", reason: "final" as const },
  ])("keeps what an ask during the refresh set, though the experiment $what", async ({ reason }) => {
    const world = createWorld();
    void world.refresh(START);
    await world.ask("edit");
    await world.run().end(skipped(reason));
    expect(world.alarmIn()).toBe(0);
  });
});

describe("a refresh that throws", () => {
  it.each([
    { what: "an error is a bug", error: new TypeError("boom"), kind: "bug" },
    { what: "what is no error is a bug", error: "boom", kind: "bug" },
    { what: "DatabaseUnavailable is the storage", error: new DatabaseUnavailable("boom"), kind: "storage" },
  ])("ends as failed, is logged in full and retried: $what", async ({ error, kind }) => {
    const world = createWorld();
    const outcome = world.refresh(START);
    await world.run().fail(error);
    expect(await outcome).toEqual({ status: "failed", kind, transient: true });
    expect(world.state.logs).toEqual([
      {
        level: "error",
        event: "refresh.failed",
        fields: { experiment_id: "checkout-cta", kind, transient: true, error: expect.stringContaining("boom") },
      },
    ]);
    expect(world.alarmIn()).toBe(BACKOFF[0]);
  });

  it("tells the outcome, and goes on, though its own storage fails", async () => {
    let broken = false;
    const world = createWorld({
      storage: () => (broken ? Promise.reject(new Error("no storage")) : Promise.resolve()),
    });
    const first = world.refresh(START);
    broken = true;
    await world.run().end(REFRESHED);
    expect(await first).toEqual(REFRESHED);
    expect(world.state.logs).toMatchObject([
      { level: "error", fields: { error: expect.stringContaining("no storage") } },
    ]);
    broken = false;
    const second = world.refresh(START);
    await world.run().end(REFRESHED);
    expect(await second).toEqual(REFRESHED);
  });
});

describe("asking for a refresh", () => {
  it.each(["edit", "manual", "webhook"] as const)("sets the alarm for now: the first %s", async (ask) => {
    const world = createWorld();
    await world.ask(ask);
    expect(world.alarmIn()).toBe(0);
    expect(world.state.runs, "the alarm is what refreshes, so that no crash can prevent it").toHaveLength(0);
    await world.pass(0);
    expect(world.state.runs).toHaveLength(1);
    await world.run().end(REFRESHED);
    expect(world.state.alarm).toBeNull();
  });

  it("fails when the alarm can't be set, so that nobody is told what is not so, and works when it can again", async () => {
    let broken = true;
    const world = createWorld({
      storage: () => (broken ? Promise.reject(new Error("no storage")) : Promise.resolve()),
    });
    await expect(world.ask("manual")).rejects.toThrow("no storage");
    broken = false;
    await world.ask("manual");
    expect(world.alarmIn()).toBe(0);
  });

  it("puts a hint inside the minimum interval off to its end", async () => {
    const world = await afterACall();
    await world.pass(100 * SECOND);
    await world.ask("webhook");
    expect(world.alarmIn()).toBe(INTERVAL - 100 * SECOND);
    await world.pass(INTERVAL - 100 * SECOND - 1);
    expect(world.state.runs).toHaveLength(1);
    await world.pass(1);
    expect(world.state.runs).toHaveLength(2);
    await world.run().end(REFRESHED);
  });

  it("makes one refresh of many hints inside the interval, and goes by the first", async () => {
    const world = await afterACall();
    for (let hints = 0; hints < 20; hints++) {
      await world.pass(10 * SECOND);
      await world.ask("webhook");
    }
    expect(world.alarmIn()).toBe(INTERVAL - 200 * SECOND);
    await world.pass(INTERVAL - 200 * SECOND);
    await world.run().end(REFRESHED);
    expect(world.state.alarm).toBeNull();
    expect(world.state.runs).toHaveLength(2);
  });

  it("puts a hint that comes while many are served off by one interval, however many they were", async () => {
    const world = await afterACall();
    for (let hints = 0; hints < 5; hints++) await world.ask("webhook");
    await world.pass(INTERVAL);
    await world.ask("webhook");
    await world.run().end(REFRESHED);
    expect(world.alarmIn()).toBe(INTERVAL);
  });

  it("takes a hint at once when the interval is over", async () => {
    const world = await afterACall();
    await world.pass(INTERVAL);
    await world.ask("webhook");
    expect(world.alarmIn()).toBe(0);
  });

  it("keeps hints the interval apart, whether the last one was put off or not", async () => {
    const world = createWorld();
    const begun: number[] = [];
    for (let tick = 0; tick < 100; tick++) {
      const before = world.state.runs.length;
      await world.ask("webhook");
      await world.pass(0);
      if (world.state.runs.length > before) {
        begun.push(world.state.time);
        await world.run().end(REFRESHED);
      }
      await world.pass(10 * SECOND);
      if (world.state.underWay > 0) {
        begun.push(world.state.time);
        await world.run().end(REFRESHED);
      }
    }
    const distances = begun.slice(1).map((time, index) => time - (begun[index] ?? 0));
    expect(begun.length).toBe(4);
    expect(new Set(distances)).toEqual(new Set([INTERVAL]));
  });

  it("keeps the interval through an eviction", async () => {
    const world = await afterACall();
    world.evict();
    await world.ask("webhook");
    expect(world.alarmIn()).toBe(INTERVAL);
  });

  it("starts the interval anew when a hint that was put off is served early, by a sweep", async () => {
    const world = await afterACall();
    await world.ask("webhook");
    await world.pass(100 * SECOND);
    void world.refresh(world.state.time);
    await world.run().end(REFRESHED);
    expect(world.state.alarm, "the hint has been served").toBeNull();
    await world.pass(50 * SECOND);
    await world.ask("webhook");
    expect(world.alarmIn()).toBe(INTERVAL - 50 * SECOND);
  });

  it("starts the interval anew when a hint that was put off is served early, by the retry of a sweep", async () => {
    const world = await afterACall();
    await world.ask("webhook");
    await world.pass(100 * SECOND);
    void world.refresh(world.state.time);
    await world.run().end(TRANSIENT);
    await world.pass(5 * SECOND);
    await world.run().end(REFRESHED);
    await world.ask("webhook");
    expect(world.alarmIn()).toBe(INTERVAL);
  });

  it("counts the interval from when hints were due, however many they were and though it took a retry", async () => {
    const world = await afterACall();
    await world.ask("webhook");
    await world.pass(100 * SECOND);
    await world.ask("webhook");
    await world.pass(INTERVAL - 100 * SECOND);
    await world.run().end(TRANSIENT);
    await world.pass(5 * SECOND);
    await world.run().end(REFRESHED);
    await world.ask("webhook");
    expect(world.alarmIn()).toBe(INTERVAL - 5 * SECOND);
  });

  it("counts the interval from when a hint that came during a refresh was due, not from that refresh", async () => {
    const world = createWorld();
    await world.ask("manual");
    await world.pass(0);
    await world.ask("webhook");
    await world.run().end(REFRESHED);
    await world.pass(INTERVAL);
    await world.run().end(REFRESHED);
    await world.ask("webhook");
    expect(world.alarmIn()).toBe(INTERVAL);
  });

  it.each(["superseded", "not_started"] as const)(
    "keeps the interval after a call that was skipped: %s",
    async (reason) => {
      const world = createWorld();
      await world.ask("manual");
      await world.pass(0);
      await world.run().end(skipped(reason));
      await world.ask("webhook");
      expect(world.alarmIn()).toBe(INTERVAL);
    },
  );

  it.each(["manual", "webhook"] as const)(
    "starts the interval with a %s though an edit has set the alarm",
    async (ask) => {
      const world = createWorld();
      await world.ask("edit");
      await world.ask(ask);
      await world.pass(0);
      await world.run().end(REFRESHED);
      await world.ask("webhook");
      expect(world.alarmIn()).toBe(INTERVAL);
    },
  );

  it("does not put a call off", async () => {
    const world = await afterACall();
    await world.pass(SECOND);
    await world.ask("manual");
    expect(world.alarmIn()).toBe(0);
  });

  it("serves a hint that was put off together with a call", async () => {
    const world = await afterACall();
    await world.ask("webhook");
    await world.ask("manual");
    await world.pass(0);
    await world.run().end(REFRESHED);
    expect(world.state.alarm).toBeNull();
    expect(world.state.runs).toHaveLength(2);
  });

  it("does not put an edit off, and an edit does not start the interval", async () => {
    const world = createWorld();
    await world.ask("edit");
    await world.pass(0);
    await world.run().end(REFRESHED);
    await world.ask("webhook");
    expect(world.alarmIn()).toBe(0);

    const inInterval = await afterACall();
    await inInterval.ask("edit");
    expect(inInterval.alarmIn()).toBe(0);
  });

  it.each(["edit", "manual"] as const)("keeps its alarm when it comes during a refresh: %s", async (ask) => {
    for (const outcome of [REFRESHED, PERMANENT, skipped("superseded"), skipped("not_found")]) {
      const world = createWorld();
      void world.refresh(START);
      await world.ask(ask);
      await world.run().end(outcome);
      expect(world.alarmIn()).toBe(0);
      await world.pass(0);
      expect(world.state.runs).toHaveLength(2);
      await world.run().end(REFRESHED);
      expect(world.state.alarm).toBeNull();
    }
  });

  it("keeps its alarm when it comes during a refresh that the alarm itself began: a hint, put off", async () => {
    const world = createWorld();
    await world.ask("manual");
    await world.pass(0);
    await world.ask("webhook");
    await world.run().end(REFRESHED);
    expect(world.alarmIn()).toBe(INTERVAL);
  });

  const afterwards = [
    { what: "a success", outcome: REFRESHED, latest: 0 },
    { what: "a permanent failure", outcome: PERMANENT, latest: 0 },
    { what: "a transient one, at the latest with its retry", outcome: TRANSIENT, latest: BACKOFF[0] },
    { what: "an experiment that is gone", outcome: skipped("not_found"), latest: 0 },
  ];
  it.each(afterwards)("is served whenever it comes after the end of a refresh: $what", async ({ outcome, latest }) => {
    // Storage takes a turn a step here, so that the outcome is still being written down. In a Durable Object the input
    // gate lets nobody in meanwhile; this holds without it.
    for (const alreadySet of [false, true]) {
      for (let moments = 0; moments < 12; moments++) {
        const world = createWorld({ storage: flush });
        if (alreadySet) await world.ask("edit");
        void world.refresh(START);
        void world.run().end(outcome);
        for (let moment = 0; moment < moments; moment++) await (moment < 6 ? Promise.resolve() : flush());
        await world.ask("manual");
        for (let turn = 0; turn < 20; turn++) await flush();
        const moment = `${moments} moments later, an alarm set before: ${alreadySet}`;
        expect(world.state.alarm, moment).not.toBeNull();
        expect(world.alarmIn(), moment).toBeLessThanOrEqual(latest ?? 0);
      }
    }
  });
});

describe("whatever comes, in whatever order", () => {
  type Step =
    | { do: "refresh"; later: number }
    | { do: "ask"; ask: RefreshTrigger }
    | { do: "pass"; milliseconds: number }
    | { do: "wake" }
    | { do: "end"; outcome: RefreshOutcome }
    | { do: "throw" }
    | { do: "evict" };

  const outcomes = [REFRESHED, TRANSIENT, PERMANENT, skipped("superseded"), skipped("not_found"), skipped("final")];
  const alive: fc.Arbitrary<Step>[] = [
    fc.record({ do: fc.constant("refresh" as const), later: fc.integer({ min: 0, max: 1000 }) }),
    fc.record({ do: fc.constant("ask" as const), ask: fc.constantFrom<RefreshTrigger[]>("edit", "manual", "webhook") }),
    fc.record({ do: fc.constant("pass" as const), milliseconds: fc.constantFrom(0, 1, SECOND, 60 * SECOND, INTERVAL) }),
    fc.constant<Step>({ do: "wake" }),
    fc.record({ do: fc.constant("end" as const), outcome: fc.constantFrom(...outcomes) }),
    fc.constant<Step>({ do: "throw" }),
  ];

  /** Walks the steps, then lets all come to its end; the promises made on the way are returned to be checked. */
  async function walk(steps: readonly Step[]) {
    const world = createWorld();
    const { state } = world;
    const calls: { now: number; runsBefore: number; underWay: boolean; answered: boolean }[] = [];
    const asks: { runsBefore: number }[] = [];
    const end = async (outcome: RefreshOutcome) => {
      if (state.underWay > 0) await world.run().end(outcome);
    };
    for (const step of steps) {
      switch (step.do) {
        case "refresh": {
          const now = state.time + step.later;
          const call = { now, runsBefore: state.runs.length, underWay: state.underWay > 0, answered: false };
          calls.push(call);
          void world.refresh(now).then(() => {
            call.answered = true;
          });
          await flush();
          break;
        }
        case "ask":
          asks.push({ runsBefore: state.runs.length });
          await world.ask(step.ask);
          break;
        case "pass":
          await world.pass(step.milliseconds);
          break;
        case "wake":
          void world.wake();
          await flush();
          break;
        case "end":
          await end(step.outcome);
          break;
        case "throw":
          if (state.underWay > 0) await world.run().fail(new Error("boom"));
          break;
        case "evict":
          world.evict();
          break;
      }
    }
    // Nothing fails from here on, and all the time in the world passes.
    for (let turn = 0; turn < 50 && (state.underWay > 0 || state.alarm !== null); turn++) {
      await end(REFRESHED);
      await world.pass(2 * INTERVAL);
    }
    return { world, calls, asks };
  }

  it("no two refreshes are ever under way at once, and all come to an end", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(...alive), { maxLength: 40 }), async (steps) => {
        const { world } = await walk(steps);
        expect(world.state.mostAtOnce).toBeLessThanOrEqual(1);
        expect(world.state.underWay).toBe(0);
        expect(world.state.alarm).toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  it("everyone who calls gets a refresh that began after the call, with their now or a later one", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(...alive), { maxLength: 40 }), async (steps) => {
        const { world, calls } = await walk(steps);
        for (const { now, runsBefore, underWay, answered } of calls) {
          // The very next run is theirs: with nothing under way it begins at once, else it is the one that follows.
          const run = world.state.runs[runsBefore];
          expect(run, "a run began after the call").toBeDefined();
          expect(run?.now).toBeGreaterThanOrEqual(now);
          if (!underWay) expect(run?.now).toBe(now);
          expect(answered).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("what was asked for is refreshed, though the coordinator is evicted at any moment", async () => {
    const steps = fc.array(fc.oneof(...alive, fc.constant<Step>({ do: "evict" })), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const { world, asks } = await walk(steps);
        for (const { runsBefore } of asks) expect(world.state.runs.length).toBeGreaterThan(runsBefore);
        expect(world.state.mostAtOnce).toBeLessThanOrEqual(1);
      }),
      { numRuns: 300 },
    );
  });
});
