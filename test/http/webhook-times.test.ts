import { createHmac } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import {
  type Clockwork,
  type ClockworkExperiment,
  DAY,
  eachInItsWorld,
  INTERVAL,
  MINUTE,
  SECOND,
  YEAR,
} from "../support/clockwork.ts";
import { FLAGSMITH_SECRET } from "../support/worker.ts";

const NOW = Date.UTC(2026, 5, 20, 10, 30);
const START = NOW - 2 * YEAR;

let world: Clockwork;
let experiment: ClockworkExperiment;
eachInItsWorld(NOW, (made) => {
  ({ world, experiment } = made);
});
beforeEach(async () => {
  await experiment.put(START);
});

const ACCEPTED = { status: 202, repeated: false };
const REPEATED = { status: 202, repeated: true };
const REFUSED = { status: 401, repeated: false };

async function outcomeOf(answer: Promise<{ status: number; json: { skipped?: { reason: string }[] } }>) {
  const { status, json } = await answer;
  return { status, repeated: json.skipped?.[0]?.reason === "repeated" };
}

describe("the signature of a Standard Webhook", () => {
  it.each([
    { sent: "five minutes ago", off: -300 * SECOND, outcome: ACCEPTED },
    { sent: "five minutes and a second ago", off: -301 * SECOND, outcome: REFUSED },
    { sent: "in five minutes", off: 300 * SECOND, outcome: ACCEPTED },
    { sent: "in five minutes and a second", off: 301 * SECOND, outcome: REFUSED },
    { sent: "a year ago", off: -YEAR, outcome: REFUSED },
    { sent: "in a year", off: YEAR, outcome: REFUSED },
    { sent: "in 1970", off: -NOW, outcome: REFUSED },
  ])("that says it was sent $sent gets $outcome.status", async ({ off, outcome }) => {
    expect(await outcomeOf(experiment.hint({ at: NOW + off }))).toEqual(outcome);
    world.set(NOW + 999);
    expect(await outcomeOf(experiment.hint({ at: NOW + off })), "it holds whole seconds").toEqual(outcome);
  });

  it.each([
    { clock: "ahead", off: 301 * SECOND },
    { clock: "behind", off: -301 * SECOND },
  ])("is refused and logged while our clock is $clock, and taken when it is right again", async ({ off }) => {
    world.jump(off);
    expect(await outcomeOf(experiment.hint({ id: "tried again", at: NOW }))).toEqual(REFUSED);
    expect(world.logged("webhook.refused")).toMatchObject([{ level: "warn" }]);
    expect((await experiment.exposures()).refresh_requested_at).toBeNull();
    world.jump(-off);
    expect(await outcomeOf(experiment.hint({ id: "tried again", at: NOW }))).toEqual(ACCEPTED);
  });
});

describe("a delivery that comes again", () => {
  it.each([
    { jump: "has gone back by four minutes", by: -4 * MINUTE, outcome: REPEATED },
    { jump: "has gone forth by four minutes", by: 4 * MINUTE, outcome: REPEATED },
    { jump: "has gone back by an hour", by: -60 * MINUTE, outcome: REFUSED },
    { jump: "has gone forth by an hour", by: 60 * MINUTE, outcome: REFUSED },
  ])("changes nothing, though the clock $jump: $outcome.status", async ({ by, outcome }) => {
    expect(await outcomeOf(experiment.hint({ id: "once" }))).toEqual(ACCEPTED);
    const before = await experiment.get();
    world.jump(by);
    expect(await outcomeOf(experiment.hint({ id: "once", at: NOW }))).toEqual(outcome);
    expect((await experiment.get()).text).toBe(before.text);
  });

  it.each([
    { jump: "a day", by: DAY, outcome: REPEATED },
    { jump: "a year", by: YEAR, outcome: ACCEPTED },
  ])("is known or costs one more refresh after sweeps of a clock that was ahead by $jump", async ({ by, outcome }) => {
    expect(await outcomeOf(experiment.hint({ id: "once" }))).toEqual(ACCEPTED);
    world.jump(by);
    await world.sweep();
    world.jump(-by);
    const { queries } = world.state;
    expect(await outcomeOf(experiment.hint({ id: "once", at: NOW }))).toEqual(outcome);
    await world.pass(INTERVAL);
    expect(world.state.queries - queries).toBe(outcome.repeated ? 0 : 1);
    expect(await outcomeOf(experiment.hint({ id: "once" }))).toEqual(REPEATED);
  });
});

describe("a Flagsmith webhook", () => {
  it.each([-YEAR, 0, YEAR])("carries no time: it is taken though the clock is off by %d ms", async (off) => {
    world.jump(off);
    const body = JSON.stringify({ event_type: "AUDIT_LOG_CREATED", data: {} });
    const answer = await world.call("POST", `/webhooks/flagsmith/${experiment.id}`, body, {
      "X-Flagsmith-Signature": createHmac("sha256", FLAGSMITH_SECRET).update(body).digest("hex"),
    });
    expect(answer).toMatchObject({ status: 202, json: { accepted: [experiment.id] } });
    await world.pass(INTERVAL);
    expect((await experiment.exposures()).refresh_requested_at).toBeNull();
  });
});
