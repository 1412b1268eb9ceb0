import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FLAGSMITH_KEY, type Flagsmith, startFlagsmith } from "../support/flagsmith.ts";
import { sign } from "../support/sign.ts";
import { signInWith } from "../support/visitor.ts";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { ADMIN, READER, startWorker, type TestWorker, until } from "../support/worker.ts";

const HOUR = 3_600_000;
const STARTED = Date.now() - 2 * HOUR;
const started_at = new Date(STARTED).toISOString();

let warehouse: TestWarehouse;
let flagsmith: Flagsmith;
let worker: TestWorker;
beforeAll(async () => {
  [warehouse, flagsmith] = await Promise.all([createWarehouse(), startFlagsmith()]);
  worker = await startWorker(warehouse.settings, {
    FLAGSMITH_API_URL: flagsmith.apiUrl,
    FLAGSMITH_API_KEY: FLAGSMITH_KEY,
    FLAGSMITH_ENVIRONMENTS: "env,other",
    SESSION_SECRET: "session secret of the tests",
  });
});
afterAll(async () => {
  await worker.stop();
  await flagsmith.stop();
});
beforeEach(async () => {
  flagsmith.state.mode = "up";
  flagsmith.state.events = { 3: "buy" };
  flagsmith.state.environments = { env: { 1: { feature: "a", started_at, rollout: { 1: 25 } } }, other: {} };
  flagsmith.takeRequests();
  await aMinuteLater();
  worker.clearLines();
});

/** Lets the next sync begin at once. */
const aMinuteLater = () => worker.execute("DELETE FROM flagsmith_sync");
const experiment = async (id = "flagsmith-1") => (await worker.call("GET", `/v1/experiments/${id}`)).json;
const linesOf = (event: string) => worker.logs().filter((line) => line.event === event);
const webhook = (environment: string, event_type: string, data = {}) => {
  const body = JSON.stringify({ event_type, data });
  const headers = { Authorization: "", ...sign("x-flagsmith-signature", body) };
  return worker.call("POST", `/webhooks/flagsmith/${environment}`, body, headers);
};

describe("a sweep", () => {
  it("reads Flagsmith's experiments first, and counts them", async () => {
    await warehouse.insert(
      ["ann", "bob"].map((identifier) => {
        const value = identifier === "ann" ? "control" : "treatment-1";
        return { environment_key: "env", feature_name: "a", identifier, value, timestamp: STARTED + HOUR };
      }),
    );
    expect(await worker.sweep()).toBe(true);
    expect(await experiment()).toMatchObject({
      id: "flagsmith-1",
      source: "flagsmith",
      environment_key: "env",
      feature_name: "a",
      status: "running",
      variants: [
        { key: "control", weight: 75 },
        { key: "treatment-1", weight: 25 },
      ],
      started_at,
    });
    const { exposures } = await worker.exposures("flagsmith-1");
    expect(exposures).toMatchObject({ variants: { control: 1, "treatment-1": 1 } });
    expect(flagsmith.takeRequests()).toMatchObject({ details: { length: 1 }, lists: { length: 4 } });
  });

  it("succeeds with the last definitions while Flagsmith is down, or lies", async () => {
    await worker.sweep();
    const before = await experiment();
    for (const mode of ["down", "html"] as const) {
      flagsmith.state.mode = mode;
      await aMinuteLater();
      expect(await worker.sweep()).toBe(true);
    }
    expect(await experiment()).toEqual(before);
    const failures = linesOf("flagsmith.failed").map(({ kind }) => kind);
    expect(new Set(failures)).toEqual(new Set(["unavailable", "not_json"]));
    expect(JSON.stringify(worker.logs())).not.toContain(FLAGSMITH_KEY);
  });
});

describe("a webhook of Flagsmith", () => {
  const flag = { new_state: { feature: { name: "a" } } };

  it("does not wait for its sync", async () => {
    flagsmith.state.mode = "slow";
    const begin = Date.now();
    expect((await webhook("env", "FLAG_UPDATED", flag)).status).toBe(202);
    expect(Date.now() - begin).toBeLessThan(5_000);
    const timeouts = await until(
      () => linesOf("flagsmith.failed"),
      ({ length }) => length > 0,
    );
    expect(timeouts).toMatchObject([{ level: "warn", kind: "timeout" }]);
  });

  it("starts a sync, at most one a minute", async () => {
    await worker.sweep();
    await aMinuteLater();
    flagsmith.takeRequests();
    flagsmith.state.environments = { env: { 1: { feature: "a", started_at, rollout: { 1: 40 } } }, other: {} };
    const sent = await Promise.all([
      webhook("env", "FLAG_UPDATED", flag),
      ...Array.from({ length: 9 }, (_, index) => webhook("other", "AUDIT_LOG_CREATED", { index })),
    ]);
    expect(sent.map(({ status }) => status)).toEqual(sent.map(() => 202));
    const { variants } = await until(experiment, (found) => found.variants[0]?.weight === 60);
    expect(variants).toEqual([
      { key: "control", weight: 60 },
      { key: "treatment-1", weight: 40 },
    ]);
    await until(
      () => flagsmith.state.requests,
      ({ length }) => length >= 5,
    );
    expect(flagsmith.takeRequests()).toMatchObject({ details: { length: 1 }, lists: { length: 4 } });
  });
});

describe("an experiment of Flagsmith", () => {
  beforeAll(async () => {
    await aMinuteLater();
    flagsmith.state.mode = "up";
    await worker.sweep();
  });

  it("is changed only there", async () => {
    const before = await experiment();
    const body = { environment_key: "env", feature_name: "a", started_at };
    for (const [method, sent] of [["PUT", body] as const, ["DELETE", undefined] as const]) {
      const refused = await worker.call(method, "/v1/experiments/flagsmith-1", sent);
      expect(refused).toMatchObject({ status: 409, json: { type: "urn:edge-exposures:problem:other-source" } });
      expect(refused.json.detail).toContain("Change it in Flagsmith");
    }
    const visitor = await signInWith(worker, ADMIN);
    for (const action of ["edit", "start", "end", "delete"]) {
      const refused = await visitor.post(`/experiments/flagsmith-1/${action}`, { name: "x" });
      expect(refused.status, action).toBe(409);
      expect(refused.text).toContain("Change it in Flagsmith");
    }
    expect((await visitor.get("/experiments/flagsmith-1/edit")).status).toBe(409);
    expect(await experiment()).toEqual(before);
    expect((await worker.call("POST", "/v1/experiments/flagsmith-1/exposures/refresh")).status).toBe(202);
  });

  it("keeps its source in an export and an import", async () => {
    const { text } = await worker.call("GET", "/v1/export");
    const line = text.split("\n").find((each) => each.includes('"id":"flagsmith-1"')) ?? "";
    const copy = JSON.stringify({
      ...JSON.parse(line),
      id: "flagsmith-99",
      feature_name: "copied",
      exposures: null,
      as_of: null,
      computed_at: null,
    });
    const imported = await worker.call("POST", "/v1/import", copy, { "Content-Type": "application/jsonl" });
    expect(imported.json).toEqual({ imported: ["flagsmith-99"], skipped: [] });
    expect((await experiment("flagsmith-99")).source).toBe("flagsmith");
  });

  it("shows its source, its last sync and the last failure on its page and in the list", async () => {
    flagsmith.state.environments = {
      env: {
        1: {
          feature: "a",
          started_at,
          name: "<b>bold</b>",
          options: [{ id: 1, key: null, default_percentage_allocation: 5 }],
        },
      },
      other: {},
    };
    await worker.sweep();
    const reader = await signInWith(worker, READER);
    const page = await reader.get("/experiments/flagsmith-1");
    expect(page.text).toMatch(/Defined in Flagsmith, as experiment 1 of the environment .*synced at <time/);
    expect(page.text).toContain(`href="${new URL(flagsmith.apiUrl).origin}"`);
    expect(page.text).toContain("The weights are unknown: the option 1 of the feature has no key.");
    expect(page.text).not.toContain("<b>bold</b>");
    expect(page.text).not.toContain("/edit");

    flagsmith.state.mode = "html";
    await aMinuteLater();
    await worker.sweep();
    expect((await reader.get("/experiments/flagsmith-1")).text).toContain("Flagsmith did not answer in JSON.");
    const list = await reader.get("/");
    expect(list.text).toMatch(
      /Flagsmith&#39;s experiments in .*synced at <time|Flagsmith's experiments in .*synced at <time/,
    );
    expect(list.text).toContain(", from Flagsmith");
    expect(list.text).toContain("Differs from Flagsmith: 1 note");
    expect(list.text).toContain("The sync with Flagsmith failed at");
  });
});

describe("GET /v1/flagsmith/check", () => {
  const check = () => worker.call("GET", "/v1/flagsmith/check");

  it("returns 200 when both lists can be read", async () => {
    expect(await check()).toMatchObject({ status: 200, json: { status: "ok" } });
  });

  it("returns 502 with what to do", async () => {
    flagsmith.state.environments = { env: {} };
    const denied = await check();
    expect(denied).toMatchObject({ status: 502, json: { title: "Flagsmith not ready" } });
    expect(denied.json.detail).toContain("denies access to the environment other");
    flagsmith.state.mode = "html";
    expect((await check()).json.detail).toContain("usually ends with /api/v1/");
  });
});
