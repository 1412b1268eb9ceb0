import { beforeEach, describe, expect, it } from "vitest";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { openSqlite } from "../../src/deno/sqlite.ts";
import { connectFlagsmith } from "../../src/flagsmith/flagsmith-client.ts";
import { syncFlagsmith } from "../../src/flagsmith/sync.ts";
import { syncSlice } from "../../src/flagsmith/sync-slice.ts";
import type { LogLevel } from "../../src/log.ts";
import { putExperiment } from "../../src/store/experiments.ts";
import { forgetRollouts, listFlagsmithEnvironments, saveFlagsmithEnvironment } from "../../src/store/flagsmith.ts";
import { migrate } from "../../src/store/migrations.ts";
import { createFlagsmith, type FakeExperiment, FLAGSMITH_KEY, type Mode } from "../support/flagsmith.ts";
import { options } from "../support/flagsmith-shapes.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.parse("2026-06-10T00:00:00.000Z");
const iso = (time: number) => new Date(time).toISOString();

let now: number;
let flagsmith: ReturnType<typeof createFlagsmith>;
let database: ReturnType<typeof openSqlite>;
let lines: { level: LogLevel; event: string; [field: string]: unknown }[];
let wakes: number;

beforeEach(async () => {
  now = START;
  flagsmith = createFlagsmith();
  database = openSqlite(":memory:");
  await migrate(database, readMigrations("migrations/d1"));
  lines = [];
  wakes = 0;
});

/** Runs a sync a minute later, whose requests take some time each. Returns the time to wait. */
async function sync({ environments = ["env"], after = MINUTE, duration = 0 } = {}) {
  now += after;
  const clock = () => now;
  const settings = { apiUrl: new URL("http://flagsmith.test/api/v1/"), apiKey: FLAGSMITH_KEY, environments };
  const sleep = async (ms: number) => {
    now += ms;
  };
  const send: typeof fetch = async (...request) => {
    now += duration;
    return flagsmith.send(...request);
  };
  const client = connectFlagsmith(settings, { clock, random: () => 0, send, sleep });
  const slices = {
    database,
    client,
    clock,
    log: (level: LogLevel, event: string, fields = {}) => void lines.push({ level, event, ...fields }),
  };
  return syncFlagsmith({
    ...slices,
    environments,
    // A slice may run in another invocation.
    syncSlice: async (slice) => structuredClone(await syncSlice(slices, structuredClone(slice))),
    dispatcher: {
      wake: async () => {
        wakes += 1;
      },
    },
  });
}

const rows = (columns = "*") => database.read({ sql: `SELECT ${columns} FROM experiments ORDER BY id`, values: [] });
const rowOf = async (id: string) =>
  (await database.read({ sql: "SELECT * FROM experiments WHERE id = ?", values: [id] }))[0] ?? {};
const events = () => lines.map(({ event }) => event);
const environmentOf = async (key = "env") => (await listFlagsmithEnvironments(database, [key]))[0];

/** Makes the numbers of an experiment final. */
const finish = (id: string) =>
  database.transact([{ sql: "UPDATE experiments SET is_final = 1, as_of = ended_at WHERE id = ?", values: [id] }]);

describe("a sync", () => {
  it("keeps an experiment for each of Flagsmith's, and changes nothing the second time", async () => {
    flagsmith.state.events = { 3: "buy" };
    flagsmith.state.environments = {
      env: {
        1: { feature: "a", rollout: { 1: 20 }, metrics: [{ metric: 3, expected_direction: "increase" }] },
        2: { feature: "b", status: "created", started_at: null, rollout: null },
        3: { feature: "c", status: "paused" },
        4: { feature: "d", status: "completed", ended_at: iso(START - HOUR), options: options(0), rollout: { 1: 30 } },
      },
    };
    expect(await sync()).toBe(0);
    const first = await rows();
    expect(first).toMatchObject([
      {
        id: "flagsmith-1",
        source: "flagsmith",
        environment_key: "env",
        feature_name: "a",
        ended_at: null,
        variants: '[{"key":"control","weight":80},{"key":"treatment-1","weight":20}]',
        metrics: expect.stringContaining('"event":"buy"'),
        refresh_requested_at: now,
      },
      { id: "flagsmith-2", started_at: null },
      { id: "flagsmith-3", ended_at: null, refresh_requested_at: now },
      { id: "flagsmith-4", ended_at: START - HOUR, variants: expect.stringContaining('"weight":30') },
    ]);
    expect(wakes).toBe(1);
    expect(flagsmith.takeRequests()).toMatchObject({ details: { length: 3 }, lists: { length: 2 } });
    expect(await environmentOf()).toMatchObject({ syncedAt: now, failedAt: null, notes: [] });

    await sync();
    expect(await rows()).toEqual(first);
    expect(flagsmith.takeRequests()).toMatchObject({ details: [], lists: { length: 2 } });
    expect(wakes).toBe(1);
    expect(JSON.stringify(lines)).not.toContain(FLAGSMITH_KEY);
  });

  it("reads the detail of an experiment that changed, and of others after an hour, ten at once", async () => {
    const ids = Array.from({ length: 250 }, (_, index) => index + 1);
    const experiments = Object.fromEntries(ids.map((id) => [id, { rollout: { 1: 50 } as Record<number, number> }]));
    flagsmith.state.environments = { env: experiments };
    await sync();
    expect(flagsmith.takeRequests()).toMatchObject({ details: { length: 250 }, lists: { length: 4 } });
    flagsmith.state.environments = {
      env: { ...experiments, 7: { name: "New name", rollout: { 1: 10 }, updated_at: iso(now) } },
    };
    await sync();
    expect(flagsmith.takeRequests()).toMatchObject({
      details: [expect.stringMatching(/\/7\/$/)],
      lists: { length: 4 },
    });
    expect(await rowOf("flagsmith-7")).toMatchObject({ name: "New name", variants: expect.stringContaining("90") });
    await sync({ after: HOUR });
    expect(flagsmith.takeRequests().details).toHaveLength(10);
  });

  it("takes over a metric's new event, though Flagsmith's experiment is not changed by it", async () => {
    flagsmith.state.events = { 3: "buy" };
    flagsmith.state.environments = { env: { 1: { metrics: [{ metric: 3, expected_direction: "increase" }] } } };
    await sync();
    flagsmith.state.events = { 3: "pay" };
    await sync();
    expect((await rowOf("flagsmith-1"))["metrics"]).toContain('"event":"pay"');
  });

  it("runs at most once a minute", async () => {
    expect(await sync()).toBe(0);
    flagsmith.takeRequests();
    expect(await sync({ after: MINUTE - 1000 })).toBe(1000);
    expect(flagsmith.state.requests).toEqual([]);
    const both = await Promise.all([sync(), sync({ after: 0 })]);
    expect(both.toSorted()).toEqual([0, MINUTE]);
    expect(await sync({ after: -HOUR })).toBe(0);
  });

  it.each([
    ["down", "server error"],
    ["html", "did not answer in JSON"],
    ["shape", "an unexpected format"],
    ["limited", "limits the rate"],
    ["endless", "lists more than can be read"],
    ["elsewhere", "another host"],
  ] as [Mode, string][])("changes nothing when Flagsmith is %s", async (mode, detail) => {
    flagsmith.state.environments = { env: { 1: {}, 2: {} } };
    await sync();
    const before = await rows();
    const { syncedAt } = (await environmentOf()) ?? {};
    flagsmith.state.mode = mode;
    flagsmith.state.environments = { env: {} };
    flagsmith.takeRequests();
    lines = [];
    expect(await sync()).toBe(0);
    expect(await rows()).toEqual(before);
    expect(lines).toMatchObject([
      { level: "warn", event: "flagsmith.failed", detail: expect.stringContaining(detail) },
    ]);
    expect(await environmentOf()).toMatchObject({ syncedAt, failedAt: now, failure: lines[0]?.["detail"] });
    expect(flagsmith.state.requests.length).toBeLessThanOrEqual(100);
  });

  it("syncs the other environments when one fails", async () => {
    flagsmith.state.environments = { other: { 1: {} } };
    await sync({ environments: ["env", "other"] });
    expect(await rows("id")).toEqual([{ id: "flagsmith-1" }]);
    expect((await environmentOf())?.failure).toContain("denies access to the environment env");
    expect((await environmentOf("other"))?.syncedAt).toBe(START + MINUTE);
  });

  it("logs one line when Flagsmith does not answer, whatever the number of environments", async () => {
    flagsmith.state.mode = "down";
    await sync({ environments: ["env", "other"] });
    expect(events()).toEqual(["flagsmith.failed"]);
    for (const [key, failedAt] of [
      ["env", now],
      ["other", START + MINUTE - 1],
    ] as const)
      expect(await environmentOf(key)).toMatchObject({
        failedAt,
        failure: expect.stringContaining("server error"),
      });
    expect(flagsmith.state.requests).toHaveLength(3);
  });

  it.each([
    ["is limited", () => new Response(null, { status: 429, headers: { "Retry-After": "60" } })],
    ["is too slow", () => Promise.reject(new DOMException("slow", "TimeoutError"))],
  ])("starts with the environments that the last one did not reach, when one %s", async (_, answer) => {
    flagsmith.state.environments = { env: {}, second: {}, third: { 3: {} } };
    const { send } = flagsmith;
    flagsmith.send = async (...request) =>
      /environments\/(env|second)\//.test(String(request[0])) ? answer() : send(...request);
    const environments = ["env", "second", "third"];
    await sync({ environments });
    await sync({ environments });
    expect(await rows()).toEqual([]);
    await sync({ environments });
    expect(await rows("id")).toEqual([{ id: "flagsmith-3" }]);
    expect(await environmentOf("third")).toMatchObject({ syncedAt: now, failedAt: null });
    expect(await environmentOf("env")).toMatchObject({ syncedAt: null, failedAt: now });
    expect(await environmentOf("second")).toMatchObject({ syncedAt: null, failedAt: now - 1 });
  });

  it.each([
    ["in another shape", () => new Response("{}")],
    ["with a server error", () => new Response(null, { status: 500 })],
    ["too late", () => Promise.reject(new DOMException("slow", "TimeoutError"))],
  ])("leaves an experiment as it is whose detail comes %s, and syncs the others", async (_, answer) => {
    flagsmith.state.environments = { env: Object.fromEntries(Array.from({ length: 12 }, (_, id) => [id + 1, {}])) };
    const { send } = flagsmith;
    flagsmith.send = async (...request) => (/experiments\/3\//.test(String(request[0])) ? answer() : send(...request));
    await sync();
    expect(await rows("id")).toHaveLength(11);
    expect(await rowOf("flagsmith-3")).toEqual({});
    expect(await environmentOf()).toMatchObject({
      failedAt: null,
      notes: [{ experimentId: "flagsmith-3", text: expect.stringContaining("its rollout can't be read") }],
    });
    flagsmith.send = send;
    await sync();
    expect(await rowOf("flagsmith-3")).toMatchObject({ source: "flagsmith" });
    expect((await environmentOf())?.notes).toEqual([]);
  });

  it("reads the details of the others after an hour, though ten can't be read", async () => {
    const splits = (split: number) => Object.fromEntries(all.map((id) => [id, { rollout: { 1: split } }]));
    const all = Array.from({ length: 12 }, (_, index) => index + 1);
    flagsmith.state.environments = { env: splits(20) };
    await sync();
    const { send } = flagsmith;
    flagsmith.send = async (...request) =>
      /experiments\/([3-9]|1[0-2])\/$/.test(String(request[0])) ? new Response("{}") : send(...request);
    flagsmith.state.environments = { env: splits(80) };
    await sync({ after: HOUR });
    await sync();
    for (const id of ["flagsmith-1", "flagsmith-2"])
      expect((await rowOf(id))["variants"]).toContain('"control","weight":20');
    expect((await rowOf("flagsmith-3"))["variants"]).toContain('"control","weight":80');
    flagsmith.send = send;
    await sync({ after: HOUR });
    expect((await rowOf("flagsmith-3"))["variants"]).toContain('"control","weight":20');
  });

  it("tries a detail that a webhook named with each sync, until it can be read", async () => {
    flagsmith.state.environments = { env: { 1: {} } };
    await sync();
    await forgetRollouts(database, "env", "feature-1");
    const { send } = flagsmith;
    flagsmith.send = async (...request) =>
      /experiments\/1\/$/.test(String(request[0])) ? new Response("{}") : send(...request);
    await sync();
    flagsmith.send = send;
    flagsmith.takeRequests();
    await sync();
    expect(flagsmith.takeRequests().details).toHaveLength(1);
  });

  it("stops when Flagsmith limits the rate, and goes on with the next sync", async () => {
    flagsmith.state.environments = { env: Object.fromEntries(Array.from({ length: 12 }, (_, id) => [id + 1, {}])) };
    const { send } = flagsmith;
    flagsmith.send = async (...request) => {
      if (!/experiments\/8\//.test(String(request[0]))) return send(...request);
      return new Response(null, { status: 429, headers: { "Retry-After": "3600" } });
    };
    await sync();
    expect(await rows("id")).toHaveLength(9);
    expect(await environmentOf()).toMatchObject({
      syncedAt: null,
      failure: expect.stringContaining("limits the rate"),
    });
    flagsmith.send = send;
    flagsmith.takeRequests();
    await sync();
    expect(await rows("id")).toHaveLength(12);
    expect(flagsmith.takeRequests().details).toHaveLength(3);
  });
});

describe("a webhook that comes during a sync", () => {
  it.each([
    ["for the first time", async () => {}],
    [
      "again",
      async () => {
        await sync();
        await sync({ after: HOUR - MINUTE });
      },
    ],
    [
      "because of another webhook",
      async () => {
        await sync();
        await forgetRollouts(database, "env", "a");
      },
    ],
  ])("makes the next one read a split again that this one reads %s", async (_, before) => {
    flagsmith.state.environments = { env: { 1: { feature: "a", rollout: { 1: 20 } } } };
    await before();
    flagsmith.takeRequests();
    const { send } = flagsmith;
    flagsmith.send = async (...request) => {
      const response = await send(...request);
      if (/experiments\/1\/$/.test(String(request[0]))) {
        flagsmith.state.environments = { env: { 1: { feature: "a", rollout: { 1: 70 } } } };
        await forgetRollouts(database, "env", "a");
      }
      return response;
    };
    await sync();
    flagsmith.send = send;
    expect((await rowOf("flagsmith-1"))["variants"]).toContain('"control","weight":80');
    await sync();
    expect((await rowOf("flagsmith-1"))["variants"]).toContain('"control","weight":30');
    expect(flagsmith.takeRequests().details).toHaveLength(2);
    await sync();
    expect(flagsmith.takeRequests().details).toEqual([]);
  });
});

describe("an experiment that is completed before the sync of a webhook", () => {
  const end = START + 30 * MINUTE;
  const completed = { feature: "a", rollout: { 1: 70 }, status: "completed", ended_at: iso(end) };

  beforeEach(async () => {
    flagsmith.state.environments = { env: { 1: { feature: "a", rollout: { 1: 20 } } } };
    await sync();
    await forgetRollouts(database, "env", "a");
    flagsmith.state.environments = { env: { 1: completed } };
    flagsmith.takeRequests();
  });

  it("has the split that it ended with, as a change of its last moment", async () => {
    await sync({ after: HOUR });
    expect(await rowOf("flagsmith-1")).toMatchObject({
      ended_at: end,
      weights_changed_at: end - 1,
      variants: '[{"key":"control","weight":30},{"key":"treatment-1","weight":70}]',
    });
    await sync();
    expect(flagsmith.takeRequests().details).toHaveLength(1);
  });

  it("ends though its detail can't be read, and has the new split once it can", async () => {
    const { send } = flagsmith;
    flagsmith.send = async (...request) =>
      /experiments\/1\/$/.test(String(request[0])) ? new Response("{}") : send(...request);
    await sync({ after: HOUR });
    expect(await rowOf("flagsmith-1")).toMatchObject({
      ended_at: end,
      weights_changed_at: null,
      variants: '[{"key":"control","weight":80},{"key":"treatment-1","weight":20}]',
    });
    expect((await environmentOf())?.notes).toMatchObject([{ text: expect.stringMatching(/^Its split stays/) }]);
    flagsmith.send = send;
    await sync();
    const row = await rowOf("flagsmith-1");
    expect(row["variants"]).toContain('"control","weight":30');
    // Nearly all of the run had the split of before.
    expect(row).toMatchObject({ weights_changed_at: end - 1 });
  });

  it("keeps its split when its feature's rollout changes after the end", async () => {
    await sync({ after: HOUR });
    const before = await rowOf("flagsmith-1");
    expect(before).toMatchObject({ ended_at: end, is_final: 0 });
    const { 1: ended } = flagsmith.state.environments["env"] ?? {};
    flagsmith.state.environments = { env: { 1: { ...ended, rollout: { 1: 100 } } } };
    await forgetRollouts(database, "env", "a");
    await sync();
    expect(await rowOf("flagsmith-1")).toEqual(before);
  });

  it("is not ended by a sync that Flagsmith's rate limit stops", async () => {
    const { send } = flagsmith;
    flagsmith.send = async (...request) => {
      if (!/experiments\/1\/$/.test(String(request[0]))) return send(...request);
      return new Response(null, { status: 429, headers: { "Retry-After": "3600" } });
    };
    await sync({ after: HOUR });
    expect(await rowOf("flagsmith-1")).toMatchObject({ ended_at: null });
  });
});

describe("an experiment that Flagsmith no longer lists", () => {
  it("ends when it was last listed, and goes on if it comes back", async () => {
    flagsmith.state.environments = { env: { 1: {}, 2: { status: "created", started_at: null } } };
    await sync();
    const lastListed = now;
    flagsmith.state.environments = { env: {} };
    flagsmith.state.mode = "down";
    await sync({ after: HOUR });
    expect(await rowOf("flagsmith-1")).toMatchObject({ ended_at: null });
    flagsmith.state.mode = "up";
    await sync();
    expect(await rowOf("flagsmith-1")).toMatchObject({ ended_at: lastListed });
    expect(await rowOf("flagsmith-2")).toMatchObject({ started_at: null, ended_at: null });
    expect(lines).toContainEqual({
      level: "info",
      event: "flagsmith.left",
      experiment_id: "flagsmith-1",
      ended_at: iso(lastListed),
    });
    await sync();
    expect(events().filter((event) => event === "flagsmith.left")).toHaveLength(1);

    flagsmith.state.environments = { env: { 1: {} } };
    await sync();
    expect(await rowOf("flagsmith-1")).toMatchObject({ ended_at: null });
  });

  it("ends when it was last listed, also if the sync that misses it has no time to end it", async () => {
    flagsmith.state.environments = { env: { 1: {} } };
    await sync();
    const lastListed = now;
    flagsmith.state.environments = { env: {} };
    await sync({ duration: 30_000 });
    expect(await rowOf("flagsmith-1")).toMatchObject({ ended_at: null });
    await sync();
    expect(await rowOf("flagsmith-1")).toMatchObject({ ended_at: lastListed });
  });

  it("ends when it was last listed, though the list of metrics could not be read then", async () => {
    flagsmith.state.environments = { env: { 1: {} } };
    await sync();
    const { send } = flagsmith;
    flagsmith.send = async (...request) =>
      /experiment-metrics/.test(String(request[0])) ? new Response("{}") : send(...request);
    await sync({ after: HOUR });
    const lastListed = now;
    flagsmith.state.environments = { env: {} };
    await sync({ after: HOUR });
    expect(await rowOf("flagsmith-1")).toMatchObject({ ended_at: null });
    flagsmith.send = send;
    await sync();
    expect(await rowOf("flagsmith-1")).toMatchObject({ ended_at: lastListed });
  });

  it("ends before the next experiment of its feature starts, though the clocks differ", async () => {
    flagsmith.state.environments = { env: { 1: { feature: "a" } } };
    await sync();
    const started = now - 1000;
    flagsmith.state.environments = { env: { 2: { feature: "a", started_at: iso(started) } } };
    await sync();
    expect(await rows("id, started_at, ended_at")).toMatchObject([
      { id: "flagsmith-1", ended_at: started },
      { id: "flagsmith-2", started_at: started, ended_at: null },
    ]);
  });

  it("keeps its final numbers if it comes back, and a note says so", async () => {
    flagsmith.state.environments = { env: { 1: {} } };
    await sync();
    flagsmith.state.environments = { env: {} };
    await sync();
    await finish("flagsmith-1");
    const before = await rowOf("flagsmith-1");
    flagsmith.state.environments = { env: { 1: {} } };
    await sync();
    expect(await rowOf("flagsmith-1")).toEqual(before);
    const note = { experimentId: "flagsmith-1", text: expect.stringContaining("numbers here are final") };
    expect((await environmentOf())?.notes).toEqual([note]);
    await sync();
    expect(events().filter((event) => event === "flagsmith.note")).toHaveLength(1);
  });
});

describe("an experiment with final numbers", () => {
  const ended = {
    feature: "a",
    status: "completed",
    ended_at: iso(START - HOUR),
    rollout: { 1: 60 },
    metrics: [{ metric: 3, expected_direction: "increase" }],
  };

  beforeEach(async () => {
    flagsmith.state.events = { 3: "buy" };
    flagsmith.state.environments = { env: { 1: ended } };
    await sync();
    await finish("flagsmith-1");
  });

  it.each<[string, FakeExperiment, Record<number, string>]>([
    ["gives the metric another event", {}, { 3: "pay" }],
    ["detaches the metric", { metrics: [] }, { 3: "buy" }],
    ["deletes the options of the feature", { options: [] }, { 3: "buy" }],
    ["adds an option to the feature", { options: options(0, 50) }, { 3: "buy" }],
  ])("keeps its definition if Flagsmith later %s, and a note says so", async (_, edited, metricEvents) => {
    const before = await rowOf("flagsmith-1");
    flagsmith.state.events = metricEvents;
    flagsmith.state.environments = { env: { 1: { ...ended, ...edited } } };
    await sync();
    await sync();
    expect(await rowOf("flagsmith-1")).toEqual(before);
    const note = { experimentId: "flagsmith-1", text: expect.stringContaining("numbers here are final") };
    expect((await environmentOf())?.notes).toEqual([note]);
    expect(events().filter((event) => event === "flagsmith.note")).toHaveLength(1);
  });

  it("takes over its name, also if its definition has changed", async () => {
    const { metrics, variants } = await rowOf("flagsmith-1");
    flagsmith.state.environments = { env: { 1: { ...ended, name: "Other", options: [] } } };
    await sync();
    expect(await rowOf("flagsmith-1")).toMatchObject({ name: "Other", is_final: 1, metrics, variants });
  });

  it("takes over a new definition if its end has not passed", async () => {
    const end = now + HOUR;
    await database.transact([{ sql: "UPDATE experiments SET ended_at = ?", values: [end] }]);
    flagsmith.state.events = { 3: "pay" };
    flagsmith.state.environments = { env: { 1: { ...ended, ended_at: iso(end) } } };
    await sync();
    expect((await rowOf("flagsmith-1"))["metrics"]).toContain('"event":"pay"');
  });
});

describe("a feature's next experiment", () => {
  it("is synced in the same sync that ends the one before", async () => {
    flagsmith.state.environments = { env: { 1: { feature: "a" } } };
    await sync();
    const ended_at = iso(now);
    flagsmith.state.environments = {
      env: { 1: { feature: "a", status: "completed", ended_at }, 2: { feature: "a", started_at: ended_at } },
    };
    await sync();
    expect(await rows("id, ended_at")).toEqual([
      { id: "flagsmith-1", ended_at: Date.parse(ended_at) },
      { id: "flagsmith-2", ended_at: null },
    ]);
    expect((await environmentOf())?.notes).toEqual([]);
  });
});

describe("an experiment that was made here", () => {
  const ours = (id: string, feature: string) => {
    const names = { id, name: id, environmentKey: "env", featureName: feature };
    return putExperiment(database, { ...names, variants: [], metrics: [], startedAt: START, endedAt: null }, null, now);
  };

  it.each([
    ["counts the same feature", "checkout", "a", /the experiment checkout counts the same feature/],
    ["has the id", "flagsmith-1", "b", /created here has its id/],
  ])("stays if it %s, and a note names the conflict once", async (_, id, feature, text) => {
    await ours(id, feature);
    const before = await rows();
    flagsmith.state.environments = { env: { 1: { feature: "a" }, 2: { feature: "c" } } };
    await sync();
    await sync();
    expect((await rows()).filter((row) => row["id"] !== "flagsmith-2")).toEqual(before);
    expect(lines.filter(({ event }) => event === "flagsmith.note")).toMatchObject([
      { level: "warn", experiment_id: "flagsmith-1", detail: expect.stringMatching(text) },
    ]);
    expect((await environmentOf())?.notes).toMatchObject([{ experimentId: "flagsmith-1" }]);
    expect(flagsmith.takeRequests().details).toHaveLength(2);
  });

  it("gives way once it is final", async () => {
    await ours("checkout", "a");
    flagsmith.state.environments = { env: { 1: { feature: "a" } } };
    await sync();
    await database.transact([{ sql: "UPDATE experiments SET ended_at = ?, is_final = 1", values: [now] }]);
    await sync();
    expect(await rows("id")).toEqual([{ id: "checkout" }, { id: "flagsmith-1" }]);
    expect((await environmentOf())?.notes).toEqual([]);
  });
});

describe("an experiment that can't be synced as it is", () => {
  it("is degraded with a note, and does not affect the others", async () => {
    const metrics = [{ metric: 1, expected_direction: "increase" }];
    flagsmith.state.events = { 1: "$flag_exposure" };
    flagsmith.state.environments = {
      env: {
        1: { options: [{ id: 1, key: null, default_percentage_allocation: 0 }] },
        2: { options: options(10), metrics },
        3: { name: "\0<script>\ud800", feature: "\u202e".repeat(2000) },
        4: { feature: "x".repeat(2001) },
        5: { status: "archived" },
        6: {},
      },
    };
    await sync();
    expect(await rows("id, variants = '[]' AS has_no_weights, metrics")).toEqual([
      { id: "flagsmith-1", has_no_weights: 1, metrics: "[]" },
      { id: "flagsmith-2", has_no_weights: 0, metrics: "[]" },
      { id: "flagsmith-3", has_no_weights: 0, metrics: "[]" },
      { id: "flagsmith-6", has_no_weights: 0, metrics: "[]" },
    ]);
    const notes = (await environmentOf())?.notes ?? [];
    expect(notes.map(({ experimentId }) => experimentId).toSorted()).toEqual(
      [1, 2, 4, 5].map((id) => `flagsmith-${id}`),
    );
    expect(lines.filter(({ event }) => event === "flagsmith.note")).toHaveLength(4);
  });

  it("is not ended while Flagsmith lists it in another shape", async () => {
    flagsmith.state.environments = { env: { 1: {} } };
    await sync();
    const before = await rows();
    flagsmith.state.environments = { env: { 1: { status: "archived" } } };
    await sync();
    expect(await rows()).toEqual(before);
  });
});

describe("the database", () => {
  it("may fail in a sync, which does not throw", async () => {
    flagsmith.state.environments = { env: { 1: {} } };
    await database.transact([{ sql: "DROP TABLE flagsmith_experiments", values: [] }]);
    expect(await sync()).toBe(0);
    expect(lines.at(-1)).toMatchObject({ level: "error", event: "flagsmith.failed" });
  });

  it("forgets what Flagsmith no longer lists", async () => {
    flagsmith.state.environments = { env: { 1: {}, 2: {} } };
    await sync();
    flagsmith.state.environments = { env: { 2: {} } };
    await sync();
    const read = await database.read({ sql: "SELECT experiment_id FROM flagsmith_experiments", values: [] });
    expect(read).toEqual([{ experiment_id: "flagsmith-2" }]);
    const environment = await environmentOf();
    if (environment !== undefined) await saveFlagsmithEnvironment(database, environment, null);
    expect(await environmentOf()).toEqual(environment);
  });
});
