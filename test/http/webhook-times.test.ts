import { createHmac } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import {
  DAY,
  INTERVAL,
  MINUTE,
  SECOND,
  type SimulatedExperiment,
  type SimulatedService,
  useSimulatedService,
  YEAR,
} from "../support/simulated-service.ts";
import { FLAGSMITH_SECRET } from "../support/worker.ts";

const NOW = Date.UTC(2026, 5, 20, 10, 30);
const START = NOW - 2 * YEAR;

let service: SimulatedService;
let experiment: SimulatedExperiment;
useSimulatedService(NOW, (setup) => {
  ({ service, experiment } = setup);
});
beforeEach(async () => {
  await experiment.put(START);
});

const ACCEPTED = { status: 202, repeated: false };
const REPEATED = { status: 202, repeated: true };
const REFUSED = { status: 401, repeated: false };

async function outcomeOf(response: Promise<{ status: number; json: { skipped?: { reason: string }[] } }>) {
  const { status, json } = await response;
  return { status, repeated: json.skipped?.[0]?.reason === "repeated" };
}

describe("a Standard Webhook", () => {
  it.each([
    { sent: "five minutes ago", off: -300 * SECOND, outcome: ACCEPTED },
    { sent: "five minutes and a second ago", off: -301 * SECOND, outcome: REFUSED },
    { sent: "five minutes in the future", off: 300 * SECOND, outcome: ACCEPTED },
    { sent: "five minutes and a second in the future", off: 301 * SECOND, outcome: REFUSED },
    { sent: "a year ago", off: -YEAR, outcome: REFUSED },
    { sent: "a year in the future", off: YEAR, outcome: REFUSED },
    { sent: "in 1970", off: -NOW, outcome: REFUSED },
  ])("sent $sent gets $outcome.status", async ({ off, outcome }) => {
    expect(await outcomeOf(experiment.sendWebhook({ at: NOW + off }))).toEqual(outcome);
    service.set(NOW + 999);
    expect(await outcomeOf(experiment.sendWebhook({ at: NOW + off })), "timestamps are whole seconds").toEqual(outcome);
  });

  it.each([
    { clock: "ahead", off: 301 * SECOND },
    { clock: "behind", off: -301 * SECOND },
  ])("is rejected and logged while the clock is $clock, and accepted once the clock is right", async ({ off }) => {
    service.jump(off);
    expect(await outcomeOf(experiment.sendWebhook({ id: "retried", at: NOW }))).toEqual(REFUSED);
    expect(service.logged("webhook.refused")).toMatchObject([{ level: "warn" }]);
    expect((await experiment.exposures()).refresh_requested_at).toBeNull();
    service.jump(-off);
    expect(await outcomeOf(experiment.sendWebhook({ id: "retried", at: NOW }))).toEqual(ACCEPTED);
  });
});

describe("a repeated delivery", () => {
  it.each([
    { jump: "back by four minutes", by: -4 * MINUTE, outcome: REPEATED },
    { jump: "forward by four minutes", by: 4 * MINUTE, outcome: REPEATED },
    { jump: "back by an hour", by: -60 * MINUTE, outcome: REFUSED },
    { jump: "forward by an hour", by: 60 * MINUTE, outcome: REFUSED },
  ])("changes nothing and gets $outcome.status after the clock jumps $jump", async ({ by, outcome }) => {
    expect(await outcomeOf(experiment.sendWebhook({ id: "once" }))).toEqual(ACCEPTED);
    const before = await experiment.get();
    service.jump(by);
    expect(await outcomeOf(experiment.sendWebhook({ id: "once", at: NOW }))).toEqual(outcome);
    expect((await experiment.get()).text).toBe(before.text);
  });

  it.each([
    { jump: "a day", by: DAY, outcome: REPEATED },
    { jump: "a year", by: YEAR, outcome: ACCEPTED },
  ])(
    "gets $outcome.status with repeated=$outcome.repeated after a sweep with a clock that was $jump ahead",
    async ({ by, outcome }) => {
      expect(await outcomeOf(experiment.sendWebhook({ id: "once" }))).toEqual(ACCEPTED);
      service.jump(by);
      await service.sweep();
      service.jump(-by);
      const { queries } = service.state;
      expect(await outcomeOf(experiment.sendWebhook({ id: "once", at: NOW }))).toEqual(outcome);
      await service.pass(INTERVAL);
      expect(service.state.queries - queries).toBe(outcome.repeated ? 0 : 1);
      expect(await outcomeOf(experiment.sendWebhook({ id: "once" }))).toEqual(REPEATED);
    },
  );
});

describe("a Flagsmith webhook", () => {
  it.each([-YEAR, 0, YEAR])("is accepted when the clock is off by %d ms, because it has no timestamp", async (off) => {
    service.jump(off);
    const body = JSON.stringify({ event_type: "AUDIT_LOG_CREATED", data: {} });
    const response = await service.call("POST", `/webhooks/flagsmith/${experiment.id}`, body, {
      "X-Flagsmith-Signature": createHmac("sha256", FLAGSMITH_SECRET).update(body).digest("hex"),
    });
    expect(response).toMatchObject({ status: 202, json: { accepted: [experiment.id] } });
    await service.pass(INTERVAL);
    expect((await experiment.exposures()).refresh_requested_at).toBeNull();
  });
});
