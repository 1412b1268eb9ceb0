import { describe, expect, it } from "vitest";
import { NO_RESULT_HISTORY } from "../../src/results/result-history.ts";
import { putExperiment } from "../../src/store/experiments.ts";
import { beginRefresh } from "../../src/store/refresh-basis.ts";
import { recordWebhook } from "../../src/store/refresh-requests.ts";
import { saveSummary } from "../../src/store/refresh-results.ts";
import { DAY, database, NOW, put, sweepWith, useDatabase } from "../support/sweeps.ts";

useDatabase();

const MINUTE = 60_000;

/** Stores numbers as of this time, as a refresh does. */
async function refresh(id: string, asOf: number, idle = true): Promise<void> {
  const basis = await beginRefresh(database, id);
  if (basis === null) throw new Error(`${id} is missing.`);
  const numbers = { asOf, computedAt: asOf, isFinal: false, identities: 0, isIdle: idle, exposures: "{}" };
  const changes = { healthHistory: {}, resultHistory: NO_RESULT_HISTORY, alerts: [] };
  expect(await saveSummary(database, basis, { ...numbers, ...changes, results: null })).toBe(true);
}

const sweptIds = async () => (await sweepWith()).ids;

describe("an experiment without an exposure for 30 days", () => {
  it.each([
    [0, ["live"]],
    [15, ["live"]],
    [45, ["live"]],
    [60, ["idle", "live"]],
    [75, ["idle", "live"]],
  ])("is swept once an hour, and others in every sweep: after %i minutes", async (minutes, expected) => {
    await put("idle", NOW - 40 * DAY);
    await put("live", NOW - 40 * DAY);
    await refresh("idle", NOW - minutes * MINUTE);
    await refresh("live", NOW - minutes * MINUTE, false);
    expect(await sweptIds()).toEqual(expected);
  });

  it("is swept an hour later, even if the sweep comes half a second early", async () => {
    await put("idle", NOW - 40 * DAY);
    await refresh("idle", NOW - 60 * MINUTE + 500);
    expect(await sweptIds()).toEqual(["idle"]);
  });

  it("is swept at once if the clock has been set back since", async () => {
    await put("idle", NOW - 40 * DAY);
    await refresh("idle", NOW + 1);
    expect(await sweptIds()).toEqual(["idle"]);
  });

  it("is swept at once after a request", async () => {
    await put("idle", NOW - 40 * DAY);
    await refresh("idle", NOW - MINUTE);
    await recordWebhook(database, { environmentKey: "env" }, NOW, 0, null);
    expect(await sweptIds()).toEqual(["idle"]);
  });

  it("is swept in every sweep again once there are exposures", async () => {
    await put("idle", NOW - 40 * DAY);
    await refresh("idle", NOW - 60 * MINUTE);
    await refresh("idle", NOW - MINUTE, false);
    expect(await sweptIds()).toEqual(["idle"]);
  });

  it("is no longer idle with another definition", async () => {
    await put("idle", NOW - 40 * DAY);
    await refresh("idle", NOW - MINUTE);
    const input = {
      id: "idle",
      name: "idle",
      environmentKey: "env",
      featureName: "other",
      variants: [],
      metrics: [],
      endedAt: null,
    };
    await putExperiment(database, { ...input, startedAt: NOW - 1 }, null, NOW - 2);
    expect(await sweptIds()).toEqual(["idle"]);
  });
});
