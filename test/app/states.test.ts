import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { countByBruteForce, withMaps } from "../support/brute-force.ts";
import { runs } from "../support/runs.ts";
import { users } from "../support/users.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";
import { deleteExperiments, startWorker, type TestWorker, until } from "../support/worker.ts";

const HOUR = 3_600_000;
const FEATURE = "button";

let warehouse: TestWarehouse;
let worker: TestWorker;
let count = 0;

/** Windows are filled at the second refresh, and counted from the third. */
const VARS = { EXPOSURE_SOURCE: "states", LONGEST_INSERT_SECONDS: 0, SETTLE_SECONDS: 3600 };

beforeAll(async () => {
  warehouse = await createWarehouse({ states: true });
  worker = await startWorker(warehouse.settings, VARS);
});
// A sweep refreshes every experiment, so each test leaves none behind.
afterEach(() => deleteExperiments(worker));
afterAll(() => worker.stop());

/** Returns a new experiment that started ten hours ago, and the actions on it. Each refresh advances its clock. */
function newExperiment() {
  const id = `states-${++count}`;
  const path = `/v1/experiments/${id}`;
  const from = Math.floor(Date.now() / HOUR) * HOUR - 10 * HOUR;
  const events: Event[] = [];
  let now = Date.now();
  let definition = {
    environment_key: id,
    feature_name: FEATURE,
    started_at: iso(from),
    ended_at: iso(now + 99 * HOUR),
    metrics: [] as object[],
  };
  const logged = (event: string) =>
    worker.logs().filter((line) => line["experiment_id"] === id && line.event === event);

  async function put(change: Partial<typeof definition> = {}): Promise<void> {
    definition = { ...definition, ...change };
    const { status, text } = await worker.call("PUT", `${path}?replace_numbers=true`, definition);
    if (status !== 200 && status !== 201) throw new Error(text);
    await until(
      () => worker.exposures(id),
      (response) => response.refresh_requested_at === null && response.exposures !== null,
    );
  }

  async function expose(identifier: string, value: string, at = from): Promise<void> {
    const event = { environment_key: definition.environment_key, feature_name: FEATURE, identifier, value };
    events.push({ ...event, timestamp: at });
    await warehouse.insert([{ ...event, timestamp: at }]);
  }

  /** Refreshes, compares the numbers with a brute-force count, and returns their source. */
  async function refresh(at = now + 1000): Promise<unknown> {
    now = at;
    const before = logged("refresh.succeeded").length;
    await worker.sweep(at);
    const response = await worker.exposures(id);
    const query = {
      ...definition,
      variants: [],
      from: Date.parse(definition.started_at),
      to: Date.parse(response.as_of),
    };
    expect(response.last_error_at).toBe(null);
    expect(withMaps(response.exposures)).toEqual(countByBruteForce(events, query));
    const lines = await until(
      () => logged("refresh.succeeded"),
      ({ length }) => length > before,
    );
    return lines.at(-1)?.["source"];
  }

  /** Compares the numbers with a brute-force count. True if there are none, or if they are final. */
  async function matchesBruteForce(): Promise<boolean> {
    const { status, json } = await worker.call("GET", `${path}/exposures`);
    if (status === 404 || json.is_final || json.exposures === null) return true;
    const window = { from: Date.parse(definition.started_at), to: Date.parse(json.as_of) };
    const expected = countByBruteForce(events, { ...definition, variants: [], ...window });
    return isDeepStrictEqual(withMaps(json.exposures), expected);
  }

  async function untilFromStates(): Promise<void> {
    await until(refresh, (source) => source === "states");
  }

  return { id, path, from, put, expose, refresh, matchesBruteForce, untilFromStates, logged };
}

const iso = (time: number) => new Date(time).toISOString();
const tableOf = (name: string) => `${warehouse.settings.database}.${name}`;

/** Adds a state that no event has led to. */
async function forge(experimentId: string): Promise<void> {
  await warehouse.command(
    `INSERT INTO ${tableOf("exposure_firsts")} SELECT DISTINCT window, 1, 1, 'forged',
      toUnixTimestamp64Milli(started_at) * 2
    FROM ${tableOf("exposure_windows")} WHERE experiment_id = '${experimentId}'`,
  );
}

describe("with EXPOSURE_SOURCE = states", () => {
  it("counts metrics from the events, as of the same moment", async () => {
    const { id, path, from, put, expose, refresh, untilFromStates } = newExperiment();
    const purchases = { key: "purchase", event: "purchase", aggregation: "count", expected_direction: "increase" };
    await expose("ann", "a");
    await put({ metrics: [purchases] });
    await untilFromStates();
    const purchase = { environment_key: id, feature_name: "", event: "purchase", identifier: "ann", value: "" };
    await warehouse.insert([{ ...purchase, timestamp: from + HOUR }]);
    expect(await refresh()).toBe("states");
    const { json } = await worker.call("GET", `${path}/results`);
    expect(json.as_of).toBe((await worker.exposures(id)).as_of);
    expect(json.results.metrics[0].variants).toMatchObject({ a: { identities: 1, sum: 1 } });
  });

  it("numbers match the events from before, during and after the filling of the window", async () => {
    const experiment = newExperiment();
    await experiment.expose("early", "a");
    await experiment.put();
    await experiment.expose("while open", "a", experiment.from + HOUR);
    await experiment.refresh();
    await experiment.expose("after", "b", experiment.from + 2 * HOUR);
    await experiment.expose("early", "b");
    await experiment.untilFromStates();

    await experiment.expose("late", "b");
    await experiment.expose("late", "b");
    await experiment.expose("after", "a", experiment.from - 1);
    expect(await experiment.refresh()).toBe("states");
    await experiment.expose("after", "a");
    await experiment.expose("of tomorrow", "a", Date.now() + 24 * HOUR);
    expect(await experiment.refresh()).toBe("states");
    await warehouse.command(`OPTIMIZE TABLE ${tableOf("exposure_identities")} FINAL`);
    expect(await experiment.refresh()).toBe("states");
    expect(await experiment.refresh(Date.now() + 24 * HOUR)).toBe("states");
    expect(await experiment.refresh(Date.now() + 25 * HOUR)).toBe("states");
  });

  it("numbers match the events after any sequence of changes", async () => {
    const at = fc.constantFrom(-1, 0, 1, 2.5 * HOUR, 9 * HOUR, 20 * HOUR);
    const step = fc.record({
      index: fc.nat({ max: 2 }),
      action: fc.oneof(
        fc.record({ kind: fc.constant("sweep" as const) }),
        fc.record({
          kind: fc.constant("expose" as const),
          identity: fc.nat({ max: 5 }),
          variant: fc.constantFrom("a", "b", "c"),
          at,
          copies: fc.integer({ min: 1, max: 2 }),
        }),
        fc.record({ kind: fc.constant("start" as const), at: fc.constantFrom(0, 1, HOUR) }),
        fc.record({ kind: fc.constant("end" as const), at: fc.constantFrom(2 * HOUR, 9.5 * HOUR, 99 * HOUR) }),
        fc.record({ kind: fc.constantFrom("delete" as const, "rebuild" as const, "merge" as const) }),
      ),
    });
    const seed = Number(process.env["SEED"] ?? 20261123);
    let fromStates = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 30 }), async (steps) => {
        const experiments = [newExperiment(), newExperiment(), newExperiment()];
        let now = Date.now();
        for (const { index, action } of steps) {
          const experiment = experiments[index] ?? newExperiment();
          switch (action.kind) {
            case "sweep":
              now += 1000;
              await worker.sweep(now);
              for (const each of experiments)
                if (!(await each.matchesBruteForce())) throw new Error(`the numbers of ${each.id} are wrong`);
              break;
            case "expose":
              for (let copy = 0; copy < action.copies; copy += 1)
                await experiment.expose(`identity ${action.identity}`, action.variant, experiment.from + action.at);
              break;
            case "start":
              await experiment.put({ started_at: iso(experiment.from + action.at) });
              break;
            case "end":
              await experiment.put({ ended_at: iso(experiment.from + action.at) });
              break;
            case "delete":
              await worker.call("DELETE", experiment.path);
              break;
            case "rebuild":
              await worker.call("POST", `${experiment.path}/exposures/rebuild`);
              break;
            case "merge":
              await warehouse.command(`OPTIMIZE TABLE ${tableOf("exposure_identities")} FINAL`);
          }
        }
        for (const { logged } of experiments)
          fromStates += logged("refresh.succeeded").filter(({ source }) => source === "states").length;
        await Promise.all(experiments.map(({ path }) => worker.call("DELETE", path)));
      }),
      { numRuns: runs(1), seed },
    );
    expect(fromStates).toBeGreaterThan(0);
  });

  it("a change of start or environment counts the events until the new window is filled", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.expose("ann", "a");
    await experiment.expose("ann", "b", experiment.from + HOUR);
    await experiment.untilFromStates();
    await experiment.put({ started_at: iso(experiment.from + HOUR) });
    expect(await experiment.refresh()).toBe("events");
    await experiment.untilFromStates();
    await experiment.put({ environment_key: `${experiment.id}-other` });
    expect(await experiment.refresh()).toBe("events");
    await experiment.expose("bob", "a");
    await experiment.untilFromStates();
  });

  it("a change of end keeps the window", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.expose("ann", "a");
    await experiment.expose("bob", "a", Date.now() - 1000);
    await experiment.untilFromStates();
    // Not so long ago that the numbers would be final, because then a sweep drops the window.
    await experiment.put({ ended_at: iso(Date.now() - HOUR / 2) });
    await warehouse.command(`OPTIMIZE TABLE ${tableOf("exposure_identities")} FINAL`);
    await experiment.put({ ended_at: iso(Date.now() + 99 * HOUR) });
    expect(await experiment.refresh()).toBe("states");
  });

  it("the last refresh counts the events, not the states", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.expose("ann", "a");
    await experiment.untilFromStates();
    await forge(experiment.id);
    await experiment.put({ ended_at: iso(Date.now() - 1000) });
    expect(await experiment.refresh(Date.now() + HOUR)).toBe("events");
    expect(await worker.exposures(experiment.id)).toMatchObject({ is_final: true });
  });

  it("the last refresh of a window whose events have expired counts the source that knows more identities", async () => {
    const later = Date.now() + 91 * 24 * HOUR;
    const [fromStates, fromEvents] = [newExperiment(), newExperiment()];
    for (const experiment of [fromStates, fromEvents]) {
      await experiment.put({ ended_at: iso(later) });
      await experiment.expose("ann", "a");
      await experiment.expose("bob", "a", experiment.from + HOUR);
      await experiment.untilFromStates();
    }
    const expired = `environment_key = '${fromStates.id}' AND identifier = 'ann'`;
    await warehouse.command(`DELETE FROM ${tableOf("events")} WHERE ${expired}`);
    await warehouse.command(
      `DELETE FROM ${tableOf("exposure_firsts")} WHERE window IN (
        SELECT window FROM ${tableOf("exposure_windows")} WHERE experiment_id = '${fromEvents.id}'
      )`,
    );
    await worker.sweep(later + HOUR);
    for (const [experiment, source] of [
      [fromStates, "states"],
      [fromEvents, "events"],
    ] as const) {
      expect(await worker.exposures(experiment.id)).toMatchObject({
        is_final: true,
        as_of: iso(later),
        last_error_at: null,
        exposures: { total_identities: 2 },
      });
      expect(experiment.logged("refresh.succeeded").at(-1)).toMatchObject({ is_final: true, source });
    }
  });

  it("a rebuild drops the states and fills them again", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.expose("ann", "a");
    await experiment.untilFromStates();
    await forge(experiment.id);
    await worker.sweep(Date.now() + 2 * HOUR);
    expect(await worker.exposures(experiment.id)).toMatchObject({ exposures: { variants: { a: 1, forged: 1 } } });

    const rebuild = await worker.call("POST", `${experiment.path}/exposures/rebuild`);
    expect(rebuild).toMatchObject({ status: 202, json: { experiment_id: experiment.id } });
    await until(
      () => worker.exposures(experiment.id),
      ({ exposures, refresh_requested_at }) => refresh_requested_at === null && exposures.total_identities === 1,
    );
    expect(experiment.logged("refresh.succeeded").at(-1)).toMatchObject({ source: "events" });
    await experiment.untilFromStates();
    expect(await worker.exposures(experiment.id)).toMatchObject({ exposures: { variants: { a: 1 } } });
  });

  it("200 rebuilds leave at most two windows that a view writes to", async () => {
    const experiment = newExperiment();
    await experiment.put();
    await experiment.expose("ann", "a");
    await experiment.untilFromStates();
    const rebuild = () => worker.call("POST", `${experiment.path}/exposures/rebuild`);
    const statuses: number[] = [];
    while (statuses.length < 200)
      for (const { status, headers } of await Promise.all(Array.from({ length: 20 }, rebuild))) {
        statuses.push(status);
        if (status === 429) expect(Number(headers.get("Retry-After"))).toBeGreaterThan(0);
      }
    expect(statuses.filter((status) => status === 202)).toHaveLength(1);
    expect(statuses.filter((status) => status === 429)).toHaveLength(199);
    await until(
      () => worker.exposures(experiment.id),
      ({ refresh_requested_at }) => refresh_requested_at === null,
    );
    const live = await warehouse.select(`SELECT window FROM ${tableOf("exposure_windows")}
      WHERE experiment_id = '${experiment.id}' GROUP BY window HAVING max(state) != 'dropped'`);
    expect(live.length).toBeLessThanOrEqual(2);
  });

  it("the warehouse check succeeds", async () => {
    expect(await worker.call("GET", "/v1/warehouse/check")).toMatchObject({ status: 200 });
  });

  it("a rebuild is rejected for an unknown experiment, a draft and final numbers", async () => {
    const rebuild = (id: string) => worker.call("POST", `/v1/experiments/${id}/exposures/rebuild`);
    expect(await rebuild("none")).toMatchObject({ status: 404 });
    await worker.call("PUT", "/v1/experiments/states-draft", { environment_key: "draft", feature_name: FEATURE });
    expect(await rebuild("states-draft")).toMatchObject({ status: 409, json: { title: "Not started" } });
    const experiment = newExperiment();
    await experiment.put({ ended_at: iso(Date.now() - 1000) });
    await worker.sweep(Date.now() + HOUR);
    expect(await rebuild(experiment.id)).toMatchObject({ status: 409, json: { title: "Final" } });
  });

  it("states of final and deleted experiments are removed, and those of a running one are kept", async () => {
    const [ended, deleted, running] = [newExperiment(), newExperiment(), newExperiment()];
    for (const experiment of [ended, deleted, running]) {
      await experiment.put();
      await experiment.expose("ann", "a");
      await experiment.untilFromStates();
    }
    const windows = `SELECT window FROM ${tableOf("exposure_windows")} WHERE experiment_id`;
    const [ofOthers = "", ofRunning = ""] = await Promise.all(
      [`${windows} IN ('${ended.id}', '${deleted.id}')`, `${windows} = '${running.id}'`].map(async (sql) =>
        (await warehouse.select(sql)).map((row) => `'${JSON.parse(JSON.stringify(row)).window}'`).join(),
      ),
    );
    const rowsOf = async (windows: string) => {
      const tables = ["exposure_windows", "exposure_firsts", "exposure_identities", "exposure_invalids"];
      const counts = tables.map((table) => `SELECT 1 FROM ${tableOf(table)} WHERE window IN (${windows})`);
      return (await warehouse.select(counts.join(" UNION ALL "))).length;
    };
    expect(await rowsOf(ofOthers)).toBeGreaterThan(0);
    const kept = await rowsOf(ofRunning);

    await ended.put({ ended_at: iso(Date.now() - 1000) });
    await worker.sweep(Date.now() + HOUR);
    expect(await worker.exposures(ended.id)).toMatchObject({ is_final: true });
    await worker.call("DELETE", deleted.path);
    await until(
      async () => {
        await worker.sweep(Date.now() + HOUR);
        return rowsOf(ofOthers);
      },
      (rows) => rows === 0,
    );
    expect(await rowsOf(ofRunning)).toBe(kept);
    expect(await running.refresh(Date.now() + 2 * HOUR)).toBe("states");
  });
});

describe("with EXPOSURE_SOURCE = states and no usable states", () => {
  it.each([
    ["the tables are missing", async () => (await createWarehouse()).settings, "0002 to 0012"],
    [
      "the user may not write",
      async () => {
        const { settings } = await createWarehouse({ states: true });
        return { ...settings, user: users.reader.name, password: users.reader.password };
      },
      "INSERT",
    ],
  ])("numbers come from the events, and the log has advice, if %s", async (_, settingsOf, advice) => {
    const fallback = await startWorker(await settingsOf(), VARS);
    try {
      const body = { environment_key: "env", feature_name: FEATURE, started_at: iso(Date.now() - HOUR) };
      await fallback.call("PUT", "/v1/experiments/fallback", body);
      await fallback.sweep();
      expect(await fallback.exposures("fallback")).toMatchObject({
        exposures: { total_identities: 0 },
        last_error_at: null,
      });
      const line = await until(
        () => fallback.logs().find(({ event }) => event === "states.failed"),
        (found) => found !== undefined,
      );
      expect(line).toMatchObject({ level: "warn", advice: expect.stringContaining(advice) });
      const check = await fallback.call("GET", "/v1/warehouse/check");
      if (advice !== "INSERT") expect(check.json.detail).toContain(advice);
    } finally {
      await fallback.stop();
    }
  });
});

describe("with EXPOSURE_SOURCE = events", () => {
  it("a rebuild is rejected", async () => {
    const plain = await startWorker(warehouse.settings);
    try {
      const body = { environment_key: "plain", feature_name: FEATURE, started_at: iso(Date.now() - HOUR) };
      await plain.call("PUT", "/v1/experiments/plain", body);
      const rebuild = await plain.call("POST", "/v1/experiments/plain/exposures/rebuild");
      expect(rebuild).toMatchObject({ status: 409, json: { title: "No states" } });
    } finally {
      await plain.stop();
    }
  });
});
