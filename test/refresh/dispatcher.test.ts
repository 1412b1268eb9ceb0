import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { Refresh } from "../../src/refresh/refresh-outcome.ts";
import { failed } from "../../src/result.ts";
import { DatabaseUnavailable } from "../../src/store/database.ts";
import { createHarness, flush, type Harness, ID, INTERVAL, REFRESHED, SECOND, START } from "../support/dispatching.ts";

const TRANSIENT = failed({ kind: "unreachable" as const });
const PERMANENT = failed({ kind: "missing_table" as const });
/** The delays before the retries, without jitter. */
const BACKOFF = [5, 15, 45, 135, 300].map((seconds) => seconds * SECOND);

const open: Harness[] = [];
async function start(options: Parameters<typeof createHarness>[0] = {}): Promise<Harness> {
  const harness = await createHarness(options);
  open.push(harness);
  return harness;
}
afterEach(() => {
  for (const harness of open.splice(0)) harness.close();
});

/** A harness that has just served a manual request, so that the minimum interval runs. */
async function afterManualRequest(): Promise<Harness> {
  const harness = await start();
  await harness.requestManually();
  await harness.last().settle(REFRESHED);
  await harness.advance(0);
  return harness;
}

/** Starts a sweep of one experiment, and settles its query. */
async function sweep(harness: Harness, answer: typeof REFRESHED | typeof TRANSIENT | typeof PERMANENT) {
  const sweeping = harness.startSweep();
  await flush();
  await harness.last().settle(answer);
  return sweeping;
}

describe("the limit", () => {
  it("holds for sweeps, webhooks, retries and manual requests together", async () => {
    const ids = Array.from({ length: 12 }, (_, index) => `e${index}`);
    const harness = await start({ concurrency: 3, ids });
    void harness.startSweep(ids);
    await harness.sendWebhook(null);
    await harness.advance(0);
    for (const id of ids) await harness.requestManually(id);
    for (let settled = 0; harness.state.alarm !== null; ) {
      if (settled < harness.state.queries.length) {
        await harness.state.queries[settled]?.settle(settled < 20 ? TRANSIENT : REFRESHED);
        settled += 1;
      }
      await harness.advance(SECOND);
      expect(harness.state.inFlight.length).toBeLessThanOrEqual(3);
    }
    expect(harness.state.maxInFlight).toBe(3);
    for (const id of ids)
      expect(await harness.row(id)).toMatchObject({
        refresh_requested_at: null,
        refresh_due_at: null,
        last_error_at: null,
        failures: 0,
      });
  });

  it("lets manual requests and edits pass before all others, in their order", async () => {
    const ids = ["a", "b", "c", "d", "e"];
    const harness = await start({ concurrency: 1, ids });
    void harness.startSweep(ids);
    await harness.requestManually("e");
    await harness.edit("d");
    for (let settled = 0; settled < 5; settled += 1) await harness.state.queries[settled]?.settle(REFRESHED);
    expect(harness.state.queries.map(({ experimentId }) => experimentId)).toEqual(["a", "e", "d", "b", "c"]);
  });

  it.each([43, 145])("serves %i pending requests, more than one alarm starts, in one go", async (count) => {
    const ids = Array.from({ length: count }, (_, index) => `e${String(index).padStart(3, "0")}`);
    const harness = await start({ concurrency: 5, ids });
    await harness.sendWebhook(null);
    await harness.advance(0);
    for (let settled = 0; settled < count; settled += 1) {
      await harness.state.queries[settled]?.settle(REFRESHED);
      await harness.advance(0);
    }
    expect(harness.state.queries.map(({ experimentId }) => experimentId)).toEqual(ids);
    expect(harness.state.maxInFlight).toBe(5);
  });

  it("is not lowered by a coordinator that does not answer", async () => {
    const harness = await start({ concurrency: 1, ids: ["stuck", "other"] });
    const stuck: Refresh = () => Promise.reject(new Error("no such object"));
    await harness.kill((refresh) => (id, now) => (id === "stuck" ? stuck(id, now) : refresh(id, now)));
    await harness.requestManually("stuck");
    expect(harness.state.logs).toMatchObject([
      { event: "coordinator.unreachable", fields: { experiment_id: "stuck", error: expect.any(String) } },
    ]);
    expect(await harness.row("stuck")).toMatchObject({
      failures: 1,
      refresh_due_at: START + 5 * SECOND,
      last_error_at: START,
      manually_requested_at: null,
    });
    await harness.requestManually("other");
    expect(harness.last().experimentId).toBe("other");
  });
});

describe("one experiment", () => {
  it("is refreshed once for a request that is served both at once and by the alarm", async () => {
    const harness = await start();
    await harness.requestManually();
    await harness.advance(0);
    await harness.last().settle(REFRESHED);
    for (let turn = 0; turn < 5; turn += 1) await harness.advance(20 * SECOND);
    expect(harness.state.queries).toHaveLength(1);
    expect(harness.state.alarm).toBeNull();
  });

  it("shares a queued refresh among sweeps and requests, with their largest now", async () => {
    const harness = await start();
    void harness.startSweep([ID], START);
    await flush();
    const sweeps = [5, 9, 7].map((later) => harness.startSweep([ID], START + later));
    await harness.last().settle(REFRESHED);
    expect(harness.state.queries.map(({ to }) => to)).toEqual([START, START + 9]);
    await harness.last().settle(PERMANENT);
    for (const { failed, reached } of await Promise.all(sweeps))
      expect({ failed, reached }).toEqual({ failed: 1, reached: 1 });
    expect(harness.state.queries).toHaveLength(2);
  });

  it("is not started by a sweep that has run out of time", async () => {
    const harness = await start({ concurrency: 1, ids: ["a", "b"] });
    const sweeping = harness.startSweep(["a", "b"], START, START + SECOND);
    await flush();
    harness.state.time += SECOND;
    await harness.last().settle(REFRESHED);
    expect(await sweeping).toEqual({ refreshed: 1, skipped: 0, failed: 0, reached: 1 });
  });
});

describe("a transient failure", () => {
  it("is retried with backoff, and left to the next sweep after the last retry", async () => {
    const harness = await start();
    await sweep(harness, TRANSIENT);
    const delays: number[] = [];
    for (;;) {
      const delay = await harness.dueIn();
      if (delay === null) break;
      delays.push(delay);
      expect(harness.alarmIn()).toBeLessThanOrEqual(delay);
      await harness.advance(delay);
      await harness.last().settle(TRANSIENT);
    }
    expect(delays).toEqual(BACKOFF);
    expect(harness.state.queries).toHaveLength(1 + BACKOFF.length);
    expect(await harness.row()).toMatchObject({ failures: 0, last_error_at: harness.state.time });
  });

  it("keeps the request pending", async () => {
    const harness = await start();
    await harness.requestManually();
    await harness.last().settle(TRANSIENT);
    expect(await harness.row()).toMatchObject({ refresh_requested_at: START, refresh_due_at: START + 5 * SECOND });
  });

  it("has the shortest delay again after a success, which also cancels the pending retry", async () => {
    const harness = await start();
    for (const answer of [TRANSIENT, TRANSIENT, REFRESHED]) await sweep(harness, answer);
    expect(await harness.row()).toMatchObject({ failures: 0, refresh_due_at: null, last_error_at: null });
    await sweep(harness, TRANSIENT);
    expect(await harness.dueIn()).toBe(BACKOFF[0]);
  });

  it("counts towards the backoff if the process is killed", async () => {
    const harness = await start();
    for (const delay of BACKOFF.slice(0, 3)) {
      await sweep(harness, TRANSIENT);
      expect(await harness.dueIn()).toBe(delay);
      await harness.kill();
    }
  });

  it("does not delay a request that arrived meanwhile", async () => {
    const harness = await start();
    void harness.startSweep();
    await flush();
    await harness.requestManually();
    await harness.last().settle(TRANSIENT);
    expect(harness.state.queries, "the urgent request follows at once").toHaveLength(2);
    await harness.last().settle(REFRESHED);
    expect(await harness.dueIn()).toBeNull();
  });

  it("is not delayed by a postponed webhook", async () => {
    const harness = await afterManualRequest();
    await harness.sendWebhook();
    await sweep(harness, TRANSIENT);
    expect(await harness.dueIn()).toBe(BACKOFF[0]);
  });

  it("is retried by the next process if this one is killed", async () => {
    const harness = await start();
    await sweep(harness, TRANSIENT);
    await harness.kill();
    await harness.advance(5 * SECOND);
    expect(harness.state.queries).toHaveLength(2);
  });
});

describe("an outcome that is not retried", () => {
  it.each([
    { what: "a success", answer: REFRESHED, pending: null },
    { what: "a permanent failure", answer: PERMANENT, pending: START },
  ])("leaves nothing due: $what", async ({ answer, pending }) => {
    const harness = await start();
    await harness.requestManually();
    await harness.last().settle(TRANSIENT);
    await harness.advance(5 * SECOND);
    await harness.last().settle(answer);
    expect(await harness.row()).toMatchObject({ failures: 0, refresh_due_at: null, refresh_requested_at: pending });
  });

  it.each([
    { what: "has become a draft", sql: `started_at = ${START + 1}` },
    { what: "has become final", sql: "is_final = 1, refresh_requested_at = NULL" },
  ])("leaves nothing due, and runs no query: an experiment that $what", async ({ sql }) => {
    const harness = await start();
    await harness.sendWebhook();
    await harness.execute(`UPDATE experiments SET ${sql}`);
    await harness.advance(0);
    expect(harness.state.queries).toEqual([]);
    expect(await harness.dueIn()).toBeNull();
    for (let turn = 0; turn < 5; turn += 1) await harness.advance(20 * SECOND);
    expect(harness.state.alarm).toBeNull();
  });

  it("leaves nothing due if the experiment was deleted", async () => {
    const harness = await start();
    await harness.requestManually();
    await harness.delete();
    await harness.last().settle(REFRESHED);
    for (let turn = 0; turn < 5; turn += 1) await harness.advance(20 * SECOND);
    expect(harness.state.queries).toHaveLength(1);
    expect(harness.state.alarm).toBeNull();
  });

  it.each([
    { what: "a success", answer: REFRESHED },
    { what: "a permanent failure", answer: PERMANENT },
    { what: "a transient failure", answer: TRANSIENT },
  ])("keeps a request that arrived during the refresh: $what", async ({ answer }) => {
    for (const request of ["requestManually", "edit", "sendWebhook"] as const) {
      const harness = await start();
      void harness.startSweep();
      await flush();
      await harness[request]();
      await harness.last().settle(answer);
      await harness.advance(0);
      await harness.advance(0);
      expect(harness.state.queries, request).toHaveLength(2);
      await harness.last().settle(REFRESHED);
      expect(await harness.row(), request).toMatchObject({ refresh_due_at: null, refresh_requested_at: null });
    }
  });
});

describe("a refresh that throws", () => {
  it.each([
    { what: "an Error", error: new TypeError("boom") },
    { what: "another value", error: "boom" },
  ])("is a bug, which is logged in full and retried: $what", async ({ error }) => {
    const harness = await start();
    const sweeping = harness.startSweep();
    await flush();
    await harness.last().reject(error);
    expect(await sweeping).toMatchObject({ failed: 1 });
    expect(harness.state.logs).toEqual([
      {
        level: "error",
        event: "refresh.failed",
        fields: { experiment_id: ID, kind: "bug", transient: true, error: expect.stringContaining("boom") },
      },
    ]);
    expect(await harness.dueIn()).toBe(BACKOFF[0]);
    expect(await harness.row()).toMatchObject({ last_error_at: START });
    await harness.advance(5 * SECOND);
    expect(harness.state.queries).toHaveLength(2);
    await harness.last().settle(REFRESHED);
    expect(await harness.row()).toMatchObject({ last_error_at: null });
  });

  it("is a storage failure if the database fails", async () => {
    const harness = await start();
    const sweeping = harness.startSweep();
    await flush();
    await harness.last().reject(DatabaseUnavailable.because(new Error("boom")));
    expect(await sweeping).toMatchObject({ failed: 1 });
    expect(harness.state.logs).toMatchObject([{ event: "refresh.failed", fields: { kind: "storage" } }]);
  });
});

describe("a database that is down for a moment", () => {
  it("delays a request whose outcome could not be stored, and the alarm asks again with backoff", async () => {
    const harness = await start();
    await harness.requestManually();
    harness.state.isDatabaseDown = true;
    await harness.last().settle(REFRESHED);
    let attempts = 0;
    for (let elapsed = 0; elapsed < 120; elapsed += 1) {
      const before = harness.state.logs.length;
      await harness.advance(SECOND);
      attempts += harness.state.logs.length > before ? 1 : 0;
    }
    // After 1, 2, 4 and 8 seconds, then every ten, with jitter.
    expect(attempts).toBeGreaterThanOrEqual(10);
    expect(attempts).toBeLessThanOrEqual(30);
    expect(harness.state.queries).toHaveLength(1);
    harness.state.isDatabaseDown = false;
    for (let elapsed = 0; elapsed < 60; elapsed += 1) await harness.advance(SECOND);
    expect(harness.state.queries).toHaveLength(2);
    await harness.last().settle(REFRESHED);
    expect(await harness.row()).toMatchObject({ refresh_due_at: null, refresh_requested_at: null });
  });
});

describe("Dispatcher.wake", () => {
  it("throws if the alarm can't be set, so that no request is confirmed and then lost, and works again later", async () => {
    const harness = await start();
    harness.state.isAlarmBroken = true;
    await expect(harness.wake()).rejects.toThrow("no storage");
    harness.state.isAlarmBroken = false;
    await harness.wake();
    expect(harness.alarmIn()).toBe(0);
  });

  it("keeps a request that is accepted and then killed at once", async () => {
    const harness = await start();
    await harness.requestManually();
    await harness.kill();
    await harness.advance(0);
    expect(harness.state.queries).toHaveLength(2);
    await harness.kill();
    await harness.advance(15 * SECOND);
    expect(harness.state.queries, "killed again while it was refreshed").toHaveLength(3);
    await harness.last().settle(REFRESHED);
    expect(await harness.row()).toMatchObject({ refresh_due_at: null, refresh_requested_at: null });
  });
});

describe("a webhook", () => {
  it("within the minimum interval is postponed to its end", async () => {
    const harness = await afterManualRequest();
    await harness.advance(100 * SECOND);
    await harness.sendWebhook();
    await harness.advance(0);
    expect(harness.alarmIn()).toBe(INTERVAL - 100 * SECOND);
    await harness.advance(INTERVAL - 100 * SECOND - 1);
    expect(harness.state.queries).toHaveLength(1);
    await harness.advance(1);
    expect(harness.state.queries).toHaveLength(2);
  });

  it("writes nothing while a request waits, and the refresh that serves both counts up to its own start", async () => {
    const harness = await afterManualRequest();
    await harness.sendWebhook();
    const before = await harness.row();
    for (let count = 0; count < 20; count += 1) {
      await harness.advance(10 * SECOND);
      expect((await harness.sendWebhook(null)).accepted).toEqual([ID]);
    }
    expect(await harness.row()).toEqual(before);
    await harness.advance(INTERVAL - 200 * SECOND);
    expect(harness.state.queries).toHaveLength(2);
    expect(harness.last().to).toBe(harness.state.time);
    await harness.last().settle(REFRESHED);
    expect(await harness.dueIn()).toBeNull();
  });

  it("that arrives during a refresh is served by another one, one interval later", async () => {
    const harness = await afterManualRequest();
    for (let count = 0; count < 5; count += 1) await harness.sendWebhook();
    await harness.advance(INTERVAL);
    await harness.sendWebhook();
    await harness.last().settle(REFRESHED);
    expect(await harness.dueIn()).toBe(INTERVAL);
    await harness.advance(INTERVAL);
    expect(harness.state.queries).toHaveLength(3);
  });

  it("is due at once after the end of the interval", async () => {
    const harness = await afterManualRequest();
    await harness.advance(INTERVAL);
    await harness.sendWebhook();
    expect(await harness.dueIn()).toBe(0);
  });

  it("is refreshed one interval after the one before, postponed or not", async () => {
    const harness = await start();
    const startTimes: number[] = [];
    for (let tick = 0; tick < 100; tick += 1) {
      await harness.sendWebhook();
      await harness.advance(0);
      while (startTimes.length < harness.state.queries.length) startTimes.push(harness.state.time);
      if (harness.state.inFlight.length > 0) await harness.last().settle(REFRESHED);
      await harness.advance(10 * SECOND);
      while (startTimes.length < harness.state.queries.length) startTimes.push(harness.state.time);
      if (harness.state.inFlight.length > 0) await harness.last().settle(REFRESHED);
    }
    const intervals = startTimes.slice(1).map((time, index) => time - (startTimes[index] ?? 0));
    expect(startTimes.length).toBe(4);
    expect(new Set(intervals)).toEqual(new Set([INTERVAL]));
  });

  it("restarts the interval when a sweep or the retry of a sweep serves it early", async () => {
    for (const answers of [[REFRESHED], [TRANSIENT, REFRESHED]]) {
      const harness = await afterManualRequest();
      await harness.sendWebhook();
      await harness.advance(100 * SECOND);
      void harness.startSweep();
      await flush();
      for (const answer of answers) {
        await harness.last().settle(answer);
        await harness.advance(5 * SECOND);
      }
      expect(await harness.dueIn(), "the webhook has been served").toBeNull();
      await harness.sendWebhook();
      expect(await harness.dueIn()).toBe(INTERVAL - 5 * SECOND);
    }
  });

  it("starts the interval at its due time, even if serving it takes a retry", async () => {
    const harness = await afterManualRequest();
    await harness.sendWebhook();
    await harness.advance(INTERVAL);
    await harness.last().settle(TRANSIENT);
    await harness.advance(5 * SECOND);
    await harness.last().settle(REFRESHED);
    await harness.sendWebhook();
    expect(await harness.dueIn()).toBe(INTERVAL - 5 * SECOND);
  });

  it("is served together with a manual request, which is not postponed", async () => {
    const harness = await afterManualRequest();
    await harness.sendWebhook();
    await harness.requestManually();
    expect(harness.state.queries).toHaveLength(2);
    await harness.last().settle(REFRESHED);
    expect(await harness.dueIn()).toBeNull();
  });

  it("does not wait for an interval after an edit, which is not postponed either", async () => {
    const harness = await start();
    await harness.edit();
    await harness.last().settle(REFRESHED);
    await harness.sendWebhook();
    expect(await harness.dueIn()).toBe(0);

    const duringInterval = await afterManualRequest();
    await duringInterval.edit();
    expect(duringInterval.state.queries).toHaveLength(2);
  });
});

describe("a manual request whose refresh failed", () => {
  it.each([
    { kind: "timeout" as const, isCharged: true },
    { kind: "overloaded" as const, isCharged: true },
    { kind: "too_large" as const, isCharged: true },
    { kind: "unreachable" as const, isCharged: false },
    { kind: "missing_table" as const, isCharged: false },
  ])(
    "is charged against the minimum interval if the warehouse is overloaded, slow or too small: $kind",
    async ({ kind, isCharged }) => {
      const harness = await start();
      await harness.requestManually();
      await harness.last().settle(failed({ kind }));
      expect(await harness.row()).toMatchObject({ manually_requested_at: isCharged ? START : null });
    },
  );
});

describe("any sequence of events", () => {
  const IDS = ["a", "b", "c", "d"];
  const id = fc.constantFrom(...IDS);
  const step = fc.oneof(
    fc.record({ do: fc.constantFrom("edit", "requestManually", "sendWebhook"), id }),
    fc.record({ do: fc.constant("hint") }),
    fc.record({ do: fc.constant("sweep") }),
    fc.record({ do: fc.constant("advance"), milliseconds: fc.constantFrom(0, 1, SECOND, 60 * SECOND, INTERVAL) }),
    fc.record({
      do: fc.constant("settle"),
      query: fc.nat(3),
      answer: fc.constantFrom(REFRESHED, REFRESHED, TRANSIENT, PERMANENT),
    }),
    fc.record({ do: fc.constant("kill") }),
  );

  it("never exceeds the limit, and serves every accepted request with numbers as of its time or later", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const harness = await createHarness({ concurrency: 2, ids: IDS });
        const { state } = harness;
        const settled = new Set<unknown>();
        const settle = async (index: number, answer: typeof REFRESHED | typeof TRANSIENT | typeof PERMANENT) => {
          const unsettled = state.queries.filter((query) => !settled.has(query));
          const query = unsettled[index % Math.max(1, unsettled.length)];
          settled.add(query);
          await query?.settle(answer);
        };
        const accepted: { id: string; at: number }[] = [];
        for (const step of steps) {
          const at = state.time;
          if ("id" in step) {
            await harness[step.do as "edit" | "requestManually" | "sendWebhook"](step.id);
            accepted.push({ id: step.id, at });
          } else if ("milliseconds" in step) await harness.advance(step.milliseconds);
          else if ("query" in step) await settle(step.query, step.answer);
          else if (step.do === "kill") await harness.kill();
          else if (step.do === "sweep") void harness.startSweep(IDS);
          else accepted.push(...(await harness.sendWebhook(null)).accepted.map((id) => ({ id, at })));
        }
        // From here on nothing fails, and enough time passes for every alarm. There is no sweep.
        for (let turn = 0; turn < 300 && (state.alarm !== null || state.inFlight.length > 0); turn += 1) {
          await settle(0, REFRESHED);
          if (state.inFlight.length === 0) await harness.advance(Math.max(0, harness.alarmIn() ?? 0));
        }
        expect(state.alarm).toBeNull();
        expect(state.maxInFlight).toBeLessThanOrEqual(2);
        for (const { id, at } of accepted) {
          const row = await harness.row(id);
          expect(row["refresh_due_at"]).toBeNull();
          // A failure that is not retried waits for the next sweep.
          const isLeftToSweep = row["refresh_requested_at"] !== null && Number(row["last_error_at"]) >= at;
          if (!isLeftToSweep)
            expect(row).toMatchObject({ refresh_requested_at: null, as_of: expect.toSatisfy((asOf) => asOf >= at) });
        }
        harness.close();
      }),
      { numRuns: 150 },
    );
  });
});
