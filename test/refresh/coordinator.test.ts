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
/** The delays before the retries, without jitter. */
const BACKOFF = [5, 15, 45, 135, 300].map((seconds) => seconds * SECOND);

/** Lets all pending promise callbacks run. */
const flush = () => new Promise<void>((resolve) => setImmediate(resolve));

/** One refresh, in flight until the test settles or rejects it. */
type Attempt = { now: number; settle(outcome: RefreshOutcome): Promise<void>; reject(error: unknown): Promise<void> };

/**
 * A coordinator whose clock, alarm, storage and refreshes the test controls. As in a Durable Object, the alarm and the
 * storage survive an eviction, an alarm that goes off is no longer set, and an alarm whose handler did not finish goes
 * off again.
 */
function createHarness({ storage = () => Promise.resolve() }: { storage?: () => Promise<void> } = {}) {
  const state = {
    time: START,
    alarm: null as number | null,
    stored: null as CoordinatorState | null,
    /** All attempts, in the order of their start. */
    attempts: [] as Attempt[],
    /** The number of unfinished attempts of the current instance. */
    inFlight: 0,
    maxInFlight: 0,
    logs: [] as { level: string; event: string; fields: object }[],
  };
  let instance = 0;
  let runningHandlers = 0;
  let coordinator = start();

  async function write<Key extends "alarm" | "stored">(key: Key, value: (typeof state)[Key]): Promise<void> {
    await storage();
    state[key] = value;
  }

  function start(): Coordinator {
    const own = instance;
    return createCoordinator({
      experimentId: "checkout-cta",
      refresh(now) {
        const { promise, resolve, reject } = Promise.withResolvers<RefreshOutcome>();
        state.inFlight += 1;
        state.maxInFlight = Math.max(state.maxInFlight, state.inFlight);
        const finish = () => {
          if (own === instance) state.inFlight -= 1;
          return flush();
        };
        state.attempts.push({
          now,
          async settle(outcome) {
            resolve(outcome);
            await finish();
          },
          async reject(error) {
            reject(error);
            await finish();
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
        load: () => storage().then(() => structuredClone(state.stored)),
        save: (stored) => write("stored", structuredClone(stored)),
        clear: () => write("stored", null),
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
    fireAlarm: () => coordinator.onAlarm(),
    async request(trigger: RefreshTrigger): Promise<void> {
      await coordinator.request(trigger);
      await flush();
    },
    /** Advances the clock, and fires the alarm if it is due by then. */
    async advance(milliseconds: number): Promise<void> {
      state.time += milliseconds;
      if (state.alarm === null || state.alarm > state.time) return;
      state.alarm = null;
      const own = instance;
      runningHandlers += 1;
      void coordinator.onAlarm().then(() => {
        if (own === instance) runningHandlers -= 1;
      });
      await flush();
    },
    /** Replaces the coordinator with a new one that has only the stored state. */
    evict(): void {
      instance += 1;
      if (runningHandlers > 0) state.alarm ??= state.time;
      runningHandlers = 0;
      state.inFlight = 0;
      coordinator = start();
    },
    /** The newest attempt. */
    last(): Attempt {
      const attempt = state.attempts.at(-1);
      if (attempt === undefined) throw new Error("no refresh has begun");
      return attempt;
    },
    /** The time until the alarm goes off, in milliseconds. */
    alarmIn: () => (state.alarm === null ? null : state.alarm - state.time),
  };
}

/** A harness that has just served a manual request, so that the minimum interval runs. */
async function afterManualRequest() {
  const harness = createHarness();
  await harness.request("manual");
  await harness.advance(0);
  await harness.last().settle(REFRESHED);
  return harness;
}

describe("Coordinator.refresh", () => {
  it("starts at once with the caller's now, and returns the outcome", async () => {
    const harness = createHarness();
    const outcome = harness.refresh(START + 7);
    expect(harness.state.attempts.map(({ now }) => now)).toEqual([START + 7]);
    await harness.last().settle(TRANSIENT);
    expect(await outcome).toEqual(TRANSIENT);
  });

  it("never runs twice at once: callers during a refresh share one queued refresh", async () => {
    const harness = createHarness();
    const first = harness.refresh(START);
    const others = [5, 9, 7].map((later) => harness.refresh(START + later));
    await flush();
    expect(harness.state.attempts).toHaveLength(1);
    await harness.last().settle(REFRESHED);
    expect(await first).toEqual(REFRESHED);
    expect(harness.state.attempts, "one queued refresh, with the largest now of its callers").toMatchObject([
      { now: START },
      { now: START + 9 },
    ]);
    await harness.last().settle(PERMANENT);
    expect(await Promise.all(others)).toEqual([PERMANENT, PERMANENT, PERMANENT]);
    expect(harness.state.attempts).toHaveLength(2);
    expect(harness.state.maxInFlight).toBe(1);
  });

  it("takes the now of a queued refresh from its own callers, even if the refresh in flight has a larger one", async () => {
    const harness = createHarness();
    void harness.refresh(START + 100);
    void harness.refresh(START + 1);
    await harness.last().settle(REFRESHED);
    expect(harness.last().now).toBe(START + 1);
    await harness.last().settle(REFRESHED);
  });

  it("queues another refresh for a caller that arrives during the queued one", async () => {
    const harness = createHarness();
    void harness.refresh(START);
    void harness.refresh(START + 1);
    await harness.last().settle(REFRESHED);
    const third = harness.refresh(START + 2);
    await harness.last().settle(REFRESHED);
    expect(harness.state.attempts.map(({ now }) => now)).toEqual([START, START + 1, START + 2]);
    await harness.last().settle(PERMANENT);
    expect(await third).toEqual(PERMANENT);
  });

  it("runs the queued refresh and later ones after a refresh that threw", async () => {
    const harness = createHarness();
    void harness.refresh(START);
    const second = harness.refresh(START + 1);
    await harness.last().reject(new Error("boom"));
    await harness.last().settle(REFRESHED);
    expect(await second).toEqual(REFRESHED);
    const third = harness.refresh(START + 2);
    await harness.last().settle(REFRESHED);
    expect(await third).toEqual(REFRESHED);
  });

  it("uses the time of the alarm as now", async () => {
    const harness = createHarness();
    await harness.request("manual");
    harness.state.time += 250;
    await harness.advance(0);
    expect(harness.last().now).toBe(START + 250);
    await harness.last().settle(REFRESHED);
  });

  it("shares the queued refresh with an alarm that goes off during a refresh", async () => {
    const harness = createHarness();
    void harness.refresh(START);
    await harness.request("manual");
    await harness.advance(10);
    const caller = harness.refresh(START + 5);
    expect(harness.state.attempts).toHaveLength(1);
    await harness.last().settle(REFRESHED);
    expect(harness.last().now).toBe(START + 10);
    await harness.last().settle(REFRESHED);
    expect(await caller).toEqual(REFRESHED);
    expect(harness.state.attempts).toHaveLength(2);
    expect(harness.state.alarm).toBeNull();
  });
});

describe("a transient failure", () => {
  it("is retried with backoff, and left to the next sweep after the last retry", async () => {
    const harness = createHarness();
    void harness.refresh(START);
    const delays: number[] = [];
    for (;;) {
      await harness.last().settle(TRANSIENT);
      const delay = harness.alarmIn();
      if (delay === null) break;
      delays.push(delay);
      await harness.advance(delay);
    }
    expect(delays).toEqual(BACKOFF);
    expect(harness.state.attempts).toHaveLength(1 + BACKOFF.length);
  });

  it("has the shortest delay again after the retries were used up", async () => {
    const harness = createHarness();
    for (let failures = 0; failures < 1 + BACKOFF.length; failures++) {
      void harness.refresh(harness.state.time);
      await harness.last().settle(TRANSIENT);
    }
    expect(harness.alarmIn()).toBeNull();
    void harness.refresh(harness.state.time);
    await harness.last().settle(TRANSIENT);
    expect(harness.alarmIn()).toBe(BACKOFF[0]);
  });

  it("has the shortest delay again after a success, which also cancels the pending retry", async () => {
    const harness = createHarness();
    for (const outcome of [TRANSIENT, TRANSIENT, REFRESHED]) {
      void harness.refresh(START);
      await harness.last().settle(outcome);
    }
    expect(harness.alarmIn()).toBeNull();
    expect(harness.state.stored?.failures).toBe(0);
    void harness.refresh(START);
    await harness.last().settle(TRANSIENT);
    expect(harness.alarmIn()).toBe(BACKOFF[0]);
  });

  it("counts towards the backoff across evictions", async () => {
    const harness = createHarness();
    for (const delay of BACKOFF.slice(0, 3)) {
      void harness.refresh(START);
      await harness.last().settle(TRANSIENT);
      expect(harness.alarmIn()).toBe(delay);
      harness.state.alarm = null;
      harness.evict();
    }
  });

  it("does not postpone an earlier alarm", async () => {
    const harness = createHarness();
    void harness.refresh(START);
    await harness.last().settle(TRANSIENT);
    harness.state.time += 4 * SECOND;
    void harness.refresh(harness.state.time);
    await harness.last().settle(TRANSIENT);
    expect(harness.alarmIn()).toBe(SECOND);
  });

  it("is not delayed by a postponed webhook", async () => {
    const harness = await afterManualRequest();
    await harness.request("webhook");
    void harness.refresh(START);
    await harness.last().settle(TRANSIENT);
    expect(harness.alarmIn()).toBe(BACKOFF[0]);
  });
});

describe("an outcome that is not retried", () => {
  it.each([
    { what: "a success", outcome: REFRESHED },
    { what: "a permanent failure", outcome: PERMANENT },
    { what: "a superseded result", outcome: skipped("superseded") },
    { what: "an experiment that has not started", outcome: skipped("not_started") },
    { what: "a deleted experiment", outcome: skipped("not_found") },
    { what: "a final experiment", outcome: skipped("final") },
  ])("sets no alarm and cancels a pending retry: $what", async ({ outcome }) => {
    const harness = createHarness();
    void harness.refresh(START);
    await harness.last().settle(outcome);
    expect(harness.state.alarm).toBeNull();

    void harness.refresh(START);
    await harness.last().settle(TRANSIENT);
    expect(harness.state.alarm).not.toBeNull();
    void harness.refresh(START);
    await harness.last().settle(outcome);
    expect(harness.state.alarm).toBeNull();
    expect(harness.state.stored?.failures ?? 0).toBe(0);
  });

  it.each([
    { what: "is deleted", reason: "not_found" as const },
    { what: "is final", reason: "final" as const },
  ])("clears the storage if the experiment $what", async ({ reason }) => {
    const harness = await afterManualRequest();
    await harness.request("webhook");
    expect(harness.state.stored).not.toBeNull();
    void harness.refresh(START);
    await harness.last().settle(skipped(reason));
    expect(harness.state.stored).toBeNull();
    expect(harness.state.alarm).toBeNull();

    await harness.request("webhook");
    expect(harness.alarmIn(), "the interval is cleared too").toBe(0);
  });

  it.each([
    { what: "is deleted", reason: "not_found" as const },
    { what: "is final", reason: "final" as const },
  ])(
    "keeps the alarm of a request that arrived during the refresh, even if the experiment $what",
    async ({ reason }) => {
      const harness = createHarness();
      void harness.refresh(START);
      await harness.request("edit");
      await harness.last().settle(skipped(reason));
      expect(harness.alarmIn()).toBe(0);
    },
  );
});

describe("a refresh that throws", () => {
  it.each([
    { what: "an Error is a bug", error: new TypeError("boom"), kind: "bug" },
    { what: "another value is a bug", error: "boom", kind: "bug" },
    {
      what: "DatabaseUnavailable is a storage failure",
      error: DatabaseUnavailable.because(new Error("boom")),
      kind: "storage",
    },
  ])("fails, is logged in full and is retried: $what", async ({ error, kind }) => {
    const harness = createHarness();
    const outcome = harness.refresh(START);
    await harness.last().reject(error);
    expect(await outcome).toEqual({ status: "failed", kind, transient: true });
    expect(harness.state.logs).toEqual([
      {
        level: "error",
        event: "refresh.failed",
        fields: { experiment_id: "checkout-cta", kind, transient: true, error: expect.stringContaining("boom") },
      },
    ]);
    expect(harness.alarmIn()).toBe(BACKOFF[0]);
  });

  it("returns the outcome and continues if the coordinator's own storage fails", async () => {
    let broken = false;
    const harness = createHarness({
      storage: () => (broken ? Promise.reject(new Error("no storage")) : Promise.resolve()),
    });
    const first = harness.refresh(START);
    broken = true;
    await harness.last().settle(REFRESHED);
    expect(await first).toEqual(REFRESHED);
    expect(harness.state.logs).toMatchObject([
      { level: "error", fields: { error: expect.stringContaining("no storage") } },
    ]);
    broken = false;
    const second = harness.refresh(START);
    await harness.last().settle(REFRESHED);
    expect(await second).toEqual(REFRESHED);
  });
});

describe("Coordinator.request", () => {
  it.each(["edit", "manual", "webhook"] as const)("sets the alarm for now: the first %s", async (trigger) => {
    const harness = createHarness();
    await harness.request(trigger);
    expect(harness.alarmIn()).toBe(0);
    expect(harness.state.attempts, "the alarm starts the refresh, so that no crash can prevent it").toHaveLength(0);
    await harness.advance(0);
    expect(harness.state.attempts).toHaveLength(1);
    await harness.last().settle(REFRESHED);
    expect(harness.state.alarm).toBeNull();
  });

  it("throws if the alarm can't be set, so that no request is confirmed and then lost, and works again later", async () => {
    let broken = true;
    const harness = createHarness({
      storage: () => (broken ? Promise.reject(new Error("no storage")) : Promise.resolve()),
    });
    await expect(harness.request("manual")).rejects.toThrow("no storage");
    broken = false;
    await harness.request("manual");
    expect(harness.alarmIn()).toBe(0);
  });

  it("postpones a webhook within the minimum interval to the interval's end", async () => {
    const harness = await afterManualRequest();
    await harness.advance(100 * SECOND);
    await harness.request("webhook");
    expect(harness.alarmIn()).toBe(INTERVAL - 100 * SECOND);
    await harness.advance(INTERVAL - 100 * SECOND - 1);
    expect(harness.state.attempts).toHaveLength(1);
    await harness.advance(1);
    expect(harness.state.attempts).toHaveLength(2);
    await harness.last().settle(REFRESHED);
  });

  it("serves many webhooks within the interval by one refresh, due when the first one is", async () => {
    const harness = await afterManualRequest();
    for (let count = 0; count < 20; count++) {
      await harness.advance(10 * SECOND);
      await harness.request("webhook");
    }
    expect(harness.alarmIn()).toBe(INTERVAL - 200 * SECOND);
    await harness.advance(INTERVAL - 200 * SECOND);
    await harness.last().settle(REFRESHED);
    expect(harness.state.alarm).toBeNull();
    expect(harness.state.attempts).toHaveLength(2);
  });

  it("postpones a webhook that arrives during a refresh by one interval, however many webhooks that refresh serves", async () => {
    const harness = await afterManualRequest();
    for (let count = 0; count < 5; count++) await harness.request("webhook");
    await harness.advance(INTERVAL);
    await harness.request("webhook");
    await harness.last().settle(REFRESHED);
    expect(harness.alarmIn()).toBe(INTERVAL);
  });

  it("serves a webhook at once after the end of the interval", async () => {
    const harness = await afterManualRequest();
    await harness.advance(INTERVAL);
    await harness.request("webhook");
    expect(harness.alarmIn()).toBe(0);
  });

  it("keeps refreshes for webhooks one interval apart, postponed or not", async () => {
    const harness = createHarness();
    const startTimes: number[] = [];
    for (let tick = 0; tick < 100; tick++) {
      const before = harness.state.attempts.length;
      await harness.request("webhook");
      await harness.advance(0);
      if (harness.state.attempts.length > before) {
        startTimes.push(harness.state.time);
        await harness.last().settle(REFRESHED);
      }
      await harness.advance(10 * SECOND);
      if (harness.state.inFlight > 0) {
        startTimes.push(harness.state.time);
        await harness.last().settle(REFRESHED);
      }
    }
    const intervals = startTimes.slice(1).map((time, index) => time - (startTimes[index] ?? 0));
    expect(startTimes.length).toBe(4);
    expect(new Set(intervals)).toEqual(new Set([INTERVAL]));
  });

  it("keeps the interval across an eviction", async () => {
    const harness = await afterManualRequest();
    harness.evict();
    await harness.request("webhook");
    expect(harness.alarmIn()).toBe(INTERVAL);
  });

  it("restarts the interval when a sweep serves a postponed webhook early", async () => {
    const harness = await afterManualRequest();
    await harness.request("webhook");
    await harness.advance(100 * SECOND);
    void harness.refresh(harness.state.time);
    await harness.last().settle(REFRESHED);
    expect(harness.state.alarm, "the webhook has been served").toBeNull();
    await harness.advance(50 * SECOND);
    await harness.request("webhook");
    expect(harness.alarmIn()).toBe(INTERVAL - 50 * SECOND);
  });

  it("restarts the interval when the retry of a sweep serves a postponed webhook early", async () => {
    const harness = await afterManualRequest();
    await harness.request("webhook");
    await harness.advance(100 * SECOND);
    void harness.refresh(harness.state.time);
    await harness.last().settle(TRANSIENT);
    await harness.advance(5 * SECOND);
    await harness.last().settle(REFRESHED);
    await harness.request("webhook");
    expect(harness.alarmIn()).toBe(INTERVAL);
  });

  it("starts the interval at the due time of the webhooks, however many they are, even if serving them takes a retry", async () => {
    const harness = await afterManualRequest();
    await harness.request("webhook");
    await harness.advance(100 * SECOND);
    await harness.request("webhook");
    await harness.advance(INTERVAL - 100 * SECOND);
    await harness.last().settle(TRANSIENT);
    await harness.advance(5 * SECOND);
    await harness.last().settle(REFRESHED);
    await harness.request("webhook");
    expect(harness.alarmIn()).toBe(INTERVAL - 5 * SECOND);
  });

  it("starts the interval at the due time of a webhook that arrived during a refresh, not at the end of that refresh", async () => {
    const harness = createHarness();
    await harness.request("manual");
    await harness.advance(0);
    await harness.request("webhook");
    await harness.last().settle(REFRESHED);
    await harness.advance(INTERVAL);
    await harness.last().settle(REFRESHED);
    await harness.request("webhook");
    expect(harness.alarmIn()).toBe(INTERVAL);
  });

  it.each(["superseded", "not_started"] as const)(
    "keeps the interval after a manual request whose refresh is skipped: %s",
    async (reason) => {
      const harness = createHarness();
      await harness.request("manual");
      await harness.advance(0);
      await harness.last().settle(skipped(reason));
      await harness.request("webhook");
      expect(harness.alarmIn()).toBe(INTERVAL);
    },
  );

  it.each(["manual", "webhook"] as const)(
    "starts the interval with a %s request even if an edit has already set the alarm",
    async (trigger) => {
      const harness = createHarness();
      await harness.request("edit");
      await harness.request(trigger);
      await harness.advance(0);
      await harness.last().settle(REFRESHED);
      await harness.request("webhook");
      expect(harness.alarmIn()).toBe(INTERVAL);
    },
  );

  it("does not postpone a manual request", async () => {
    const harness = await afterManualRequest();
    await harness.advance(SECOND);
    await harness.request("manual");
    expect(harness.alarmIn()).toBe(0);
  });

  it("serves a postponed webhook together with a manual request", async () => {
    const harness = await afterManualRequest();
    await harness.request("webhook");
    await harness.request("manual");
    await harness.advance(0);
    await harness.last().settle(REFRESHED);
    expect(harness.state.alarm).toBeNull();
    expect(harness.state.attempts).toHaveLength(2);
  });

  it("does not postpone an edit, and starts no interval for it", async () => {
    const harness = createHarness();
    await harness.request("edit");
    await harness.advance(0);
    await harness.last().settle(REFRESHED);
    await harness.request("webhook");
    expect(harness.alarmIn()).toBe(0);

    const duringInterval = await afterManualRequest();
    await duringInterval.request("edit");
    expect(duringInterval.alarmIn()).toBe(0);
  });

  it.each(["edit", "manual"] as const)(
    "keeps the alarm of a request that arrives during a refresh: %s",
    async (trigger) => {
      for (const outcome of [REFRESHED, PERMANENT, skipped("superseded"), skipped("not_found")]) {
        const harness = createHarness();
        void harness.refresh(START);
        await harness.request(trigger);
        await harness.last().settle(outcome);
        expect(harness.alarmIn()).toBe(0);
        await harness.advance(0);
        expect(harness.state.attempts).toHaveLength(2);
        await harness.last().settle(REFRESHED);
        expect(harness.state.alarm).toBeNull();
      }
    },
  );

  it("keeps the alarm of a postponed webhook that arrives during a refresh which the alarm started", async () => {
    const harness = createHarness();
    await harness.request("manual");
    await harness.advance(0);
    await harness.request("webhook");
    await harness.last().settle(REFRESHED);
    expect(harness.alarmIn()).toBe(INTERVAL);
  });

  const outcomes = [
    { what: "a success", outcome: REFRESHED, latest: 0 },
    { what: "a permanent failure", outcome: PERMANENT, latest: 0 },
    { what: "a transient failure, with its retry at the latest", outcome: TRANSIENT, latest: BACKOFF[0] },
    { what: "a deleted experiment", outcome: skipped("not_found"), latest: 0 },
  ];
  it.each(outcomes)(
    "serves a request that arrives at any moment after the end of a refresh: $what",
    async ({ outcome, latest }) => {
      // Each storage operation takes a turn of the event loop, so that the outcome is still being saved when the request
      // arrives. A Durable Object's input gate would hold the request back. The coordinator does not rely on that.
      for (const alreadySet of [false, true]) {
        for (let moments = 0; moments < 12; moments++) {
          const harness = createHarness({ storage: flush });
          if (alreadySet) await harness.request("edit");
          void harness.refresh(START);
          void harness.last().settle(outcome);
          for (let moment = 0; moment < moments; moment++) await (moment < 6 ? Promise.resolve() : flush());
          await harness.request("manual");
          for (let turn = 0; turn < 20; turn++) await flush();
          const moment = `${moments} moments later, an alarm set before: ${alreadySet}`;
          expect(harness.state.alarm, moment).not.toBeNull();
          expect(harness.alarmIn(), moment).toBeLessThanOrEqual(latest ?? 0);
        }
      }
    },
  );
});

describe("any sequence of events", () => {
  type Step =
    | { do: "refresh"; later: number }
    | { do: "request"; trigger: RefreshTrigger }
    | { do: "advance"; milliseconds: number }
    | { do: "alarm" }
    | { do: "settle"; outcome: RefreshOutcome }
    | { do: "reject" }
    | { do: "evict" };

  const outcomes = [REFRESHED, TRANSIENT, PERMANENT, skipped("superseded"), skipped("not_found"), skipped("final")];
  const withoutEviction: fc.Arbitrary<Step>[] = [
    fc.record({ do: fc.constant("refresh" as const), later: fc.integer({ min: 0, max: 1000 }) }),
    fc.record({
      do: fc.constant("request" as const),
      trigger: fc.constantFrom<RefreshTrigger[]>("edit", "manual", "webhook"),
    }),
    fc.record({
      do: fc.constant("advance" as const),
      milliseconds: fc.constantFrom(0, 1, SECOND, 60 * SECOND, INTERVAL),
    }),
    fc.constant<Step>({ do: "alarm" }),
    fc.record({ do: fc.constant("settle" as const), outcome: fc.constantFrom(...outcomes) }),
    fc.constant<Step>({ do: "reject" }),
  ];

  /** Runs the steps, then lets all work finish. Returns what each call and request could rely on. */
  async function run(steps: readonly Step[]) {
    const harness = createHarness();
    const { state } = harness;
    const calls: { now: number; attemptsBefore: number; wasInFlight: boolean; isResolved: boolean }[] = [];
    const requests: { attemptsBefore: number }[] = [];
    const settle = async (outcome: RefreshOutcome) => {
      if (state.inFlight > 0) await harness.last().settle(outcome);
    };
    for (const step of steps) {
      switch (step.do) {
        case "refresh": {
          const now = state.time + step.later;
          const call = {
            now,
            attemptsBefore: state.attempts.length,
            wasInFlight: state.inFlight > 0,
            isResolved: false,
          };
          calls.push(call);
          void harness.refresh(now).then(() => {
            call.isResolved = true;
          });
          await flush();
          break;
        }
        case "request":
          requests.push({ attemptsBefore: state.attempts.length });
          await harness.request(step.trigger);
          break;
        case "advance":
          await harness.advance(step.milliseconds);
          break;
        case "alarm":
          void harness.fireAlarm();
          await flush();
          break;
        case "settle":
          await settle(step.outcome);
          break;
        case "reject":
          if (state.inFlight > 0) await harness.last().reject(new Error("boom"));
          break;
        case "evict":
          harness.evict();
          break;
      }
    }
    // From here on nothing fails, and enough time passes for every alarm.
    for (let turn = 0; turn < 50 && (state.inFlight > 0 || state.alarm !== null); turn++) {
      await settle(REFRESHED);
      await harness.advance(2 * INTERVAL);
    }
    return { harness, calls, requests };
  }

  it("never has two refreshes in flight, and ends with no alarm set", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(...withoutEviction), { maxLength: 40 }), async (steps) => {
        const { harness } = await run(steps);
        expect(harness.state.maxInFlight).toBeLessThanOrEqual(1);
        expect(harness.state.inFlight).toBe(0);
        expect(harness.state.alarm).toBeNull();
      }),
      { numRuns: 300 },
    );
  });

  it("gives each caller a refresh that started after the call, with the caller's now or a later one", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(...withoutEviction), { maxLength: 40 }), async (steps) => {
        const { harness, calls } = await run(steps);
        for (const { now, attemptsBefore, wasInFlight, isResolved } of calls) {
          // The next attempt serves the call: it starts at once, or after the one in flight.
          const attempt = harness.state.attempts[attemptsBefore];
          expect(attempt, "a refresh started after the call").toBeDefined();
          expect(attempt?.now).toBeGreaterThanOrEqual(now);
          if (!wasInFlight) expect(attempt?.now).toBe(now);
          expect(isResolved).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("serves every request, even if the coordinator is evicted at any moment", async () => {
    const steps = fc.array(fc.oneof(...withoutEviction, fc.constant<Step>({ do: "evict" })), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const { harness, requests } = await run(steps);
        for (const { attemptsBefore } of requests)
          expect(harness.state.attempts.length).toBeGreaterThan(attemptsBefore);
        expect(harness.state.maxInFlight).toBeLessThanOrEqual(1);
      }),
      { numRuns: 300 },
    );
  });
});
