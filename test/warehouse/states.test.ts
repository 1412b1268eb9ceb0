import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { StartedExperiment } from "../../src/experiment.ts";
import { DAY } from "../../src/exposures/buckets.ts";
import { serialise } from "../../src/exposures/serialise.ts";
import { summarise } from "../../src/exposures/summary.ts";
import { advanceWindow, type FillDeps } from "../../src/refresh/advance-window.ts";
import { countFromStates } from "../../src/refresh/state-maintenance.ts";
import { failed, ok } from "../../src/result.ts";
import { connectWarehouse, type Warehouse } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import { countStates } from "../../src/warehouse/state-counts.ts";
import { findWindow, listWindows, recordWindow } from "../../src/warehouse/state-windows.ts";
import { HOUR, scenario } from "../support/arbitrary.ts";
import { collectionByBruteForce, countByBruteForce, withMaps } from "../support/brute-force.ts";
import { runs } from "../support/runs.ts";
import { unchecked } from "../support/unchecked.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";

const FEATURE = 'it\'s \\a "feature"\n';
const from = Date.UTC(2026, 5, 1);

let warehouse: TestWarehouse;
let connection: Warehouse;
let deps: FillDeps;
beforeAll(async () => {
  warehouse = await createWarehouse({ states: true });
  connection = connectWarehouse(warehouse.settings);
  deps = {
    warehouse: connection,
    longestInsertMs: 0,
    clock: Date.now,
    log: (_, event, fields) => {
      if (event !== "states.filled") throw new Error(`${event} ${JSON.stringify(fields)}`);
    },
  };
});

function experimentOf(environmentKey: string, startedAt: number): StartedExperiment {
  return { experimentId: environmentKey, environmentKey, featureName: FEATURE, startedAt };
}

/** The exposures of an experiment's filled window, with the text that a refresh would store. */
async function exposuresOf(experiment: StartedExperiment, to: number, configured: string[]) {
  const { environmentKey, featureName, startedAt } = experiment;
  const found = await findWindow(connection, experiment);
  if (!found.ok || found.value?.state !== "filled") throw new Error(JSON.stringify(found));
  const window = { from: startedAt, to };
  const counts = await countStates(connection, found.value.window, { environmentKey, featureName, window });
  if (!counts.ok) throw new Error(JSON.stringify(counts.failure));
  return { text: serialise(summarise(counts.value.counts, window, configured), unchecked), ...counts.value };
}

const merge = async () => {
  for (const table of ["exposure_identities", "exposure_firsts"]) {
    await warehouse.command(`OPTIMIZE TABLE ${warehouse.settings.database}.${table} FINAL`);
  }
};

describe("countStates", () => {
  it("equals a brute-force count for events from before, during and after the filling, merged or not", async () => {
    const moment = fc.constantFrom("before", "while open", "after", "twice");
    await fc.assert(
      fc.asyncProperty(scenario, fc.infiniteStream(moment), async ({ from, to, configured, eventsOf }, moments) => {
        const environmentKey = randomUUID();
        const experiment = experimentOf(environmentKey, from);
        const events = eventsOf(environmentKey, FEATURE);
        const arriving = Map.groupBy(events, () => moments.next().value);
        const arrive = (when: string) => warehouse.insert(arriving.get(when) ?? []);

        await arrive("before");
        await arrive("twice");
        await advanceWindow(deps, experiment);
        await arrive("while open");
        await advanceWindow(deps, experiment);
        await arrive("after");
        await arrive("twice");
        const query = { environment_key: environmentKey, feature_name: FEATURE, variants: configured, from, to };
        const expected = countByBruteForce(events, query);
        const { invalidEvents, ...collection } = collectionByBruteForce([...events, ...(arriving.get("twice") ?? [])], {
          ...query,
        });
        for (const prepare of [async () => undefined, merge]) {
          await prepare();
          const counted = await exposuresOf(experiment, to, configured);
          expect(withMaps(JSON.parse(counted.text))).toEqual(expected);
          // Events are counted only if any is invalid. An invalid one after the end of the window counts for that, too.
          const all = { ...collection, events: counted.collection.events === 0 ? 0 : collection.events };
          expect(counted.collection).toEqual({ ...all, invalidEvents });
          if (invalidEvents > 0) expect(counted.collection.events).toBe(collection.events);
        }

        // Numbers as of an earlier time stay the same after later events.
        const earlier = from + Math.ceil((to - from) / 2);
        const window = { from, to: earlier };
        const counts = await countExposures(connection, { environmentKey, featureName: FEATURE, window });
        if (!counts.ok) throw new Error(JSON.stringify(counts.failure));
        const earlierExposures = await exposuresOf(experiment, earlier, configured);
        expect(earlierExposures.text).toBe(serialise(summarise(counts.value.counts, window, configured), unchecked));
        const { events: _, ...earlierCollection } = counts.value.collection;
        expect(earlierExposures.collection).toMatchObject(earlierCollection);
      }),
      { numRuns: runs(6) },
    );
  });

  it("scans a window, merged or not, and groups identities only where a scan is not enough", async () => {
    const environmentKey = randomUUID();
    const experiment = experimentOf(environmentKey, from);
    const event = { environment_key: environmentKey, feature_name: FEATURE, timestamp: from };
    await advanceWindow(deps, experiment);
    await advanceWindow(deps, experiment);
    await warehouse.insert([
      { ...event, identifier: "ann", value: "control" },
      { ...event, identifier: "bob", value: "control" },
    ]);
    await warehouse.insert([{ ...event, identifier: "bob", value: "treatment", timestamp: from + HOUR }]);
    const found = await findWindow(connection, experiment);
    const stateWindow = (found.ok && found.value?.window) || "";
    const countAt = async (to: number) => {
      const grouped: boolean[] = [];
      const recording: Warehouse = {
        ...connection,
        select: (sql, parameters) => {
          grouped.push(sql.includes("GROUP BY identity"));
          return connection.select(sql, parameters);
        },
      };
      const window = { from, to };
      const counts = await countStates(recording, stateWindow, { environmentKey, featureName: FEATURE, window });
      return { counts: counts.ok && new Set(counts.value.counts), grouped: grouped.includes(true) };
    };
    const first = { multiple: false, variant: "control", bucket: from };
    for (const prepare of [async () => undefined, merge]) {
      await prepare();
      expect(await countAt(from + 2 * HOUR)).toEqual({
        counts: new Set([
          { ...first, identities: 1 },
          { multiple: true, identities: 1 },
        ]),
        grouped: false,
      });
    }
    // At that time Bob had seen only one variant.
    expect(await countAt(from + HOUR)).toEqual({ counts: new Set([{ ...first, identities: 2 }]), grouped: true });
  });

  it("distinguishes two variants whose names have the same hash, merged or not", async () => {
    const environmentKey = randomUUID();
    const experiment = experimentOf(environmentKey, from);
    const names = ["treatment-blue-1", "_Kgw]dqSGTkhEQro"];
    await advanceWindow(deps, experiment);
    await advanceWindow(deps, experiment);
    const event = { environment_key: environmentKey, feature_name: FEATURE, timestamp: from };
    await warehouse.insert([
      ...names.map((value) => ({ ...event, identifier: `only ${value}`, value })),
      ...names.map((value) => ({ ...event, identifier: "both", value })),
    ]);
    for (const prepare of [async () => undefined, merge]) {
      await prepare();
      expect(JSON.parse((await exposuresOf(experiment, from + HOUR, [])).text)).toMatchObject({
        total_identities: 2,
        excluded_identities: 1,
        variants: Object.fromEntries(names.map((name) => [name, 1])),
      });
    }
  });

  it.each(["before", "while open", "after"])("counts invalid events, whenever they arrived: %s", async (moment) => {
    const experiment = experimentOf(randomUUID(), from);
    const event = { environment_key: experiment.environmentKey, feature_name: FEATURE, timestamp: from };
    const arrive = async (when: string) => {
      await warehouse.insert([{ ...event, identifier: when, value: "control" }]);
      if (when === moment) await warehouse.insert([{ ...event, identifier: "", value: "control" }]);
    };
    await arrive("before");
    await advanceWindow(deps, experiment);
    await arrive("while open");
    await advanceWindow(deps, experiment);
    await arrive("after");
    for (const prepare of [async () => undefined, merge]) {
      await prepare();
      const { collection } = await exposuresOf(experiment, from + HOUR, []);
      expect(collection).toMatchObject({ invalidEvents: 1, events: 4 });
    }
  });

  it("fails with too_large for a variant of more than 1,000 bytes, whenever it arrived", async () => {
    for (const when of ["before", "after"]) {
      const experiment = experimentOf(randomUUID(), from);
      const event = { environment_key: experiment.environmentKey, feature_name: FEATURE, timestamp: from };
      const long = { ...event, identifier: "ann", value: "x".repeat(100_000) };
      if (when === "before") await warehouse.insert([long]);
      await advanceWindow(deps, experiment);
      await advanceWindow(deps, experiment);
      if (when === "after") await warehouse.insert([long]);
      await expect(exposuresOf(experiment, from + HOUR, []), when).rejects.toThrow('"kind":"too_large"');
      const stored = `SELECT max(length(variant)) AS bytes FROM ${warehouse.settings.database}.exposure_firsts`;
      expect(await warehouse.select(stored)).toEqual([{ bytes: 1001 }]);
    }
  });

  it("reads no events if none is invalid", async () => {
    const experiment = experimentOf(randomUUID(), from);
    await advanceWindow(deps, experiment);
    await advanceWindow(deps, experiment);
    const event = { environment_key: experiment.environmentKey, feature_name: FEATURE, timestamp: from };
    await warehouse.insert([{ ...event, identifier: "ann", value: "control" }]);
    expect((await exposuresOf(experiment, from + HOUR, [])).collection).toMatchObject({ invalidEvents: 0, events: 0 });
  });

  it("separates the windows of two experiments of one feature", async () => {
    const environmentKey = randomUUID();
    const experiments = [from, from + HOUR].map((startedAt, index) => ({
      ...experimentOf(environmentKey, startedAt),
      experimentId: `${environmentKey}-${index}`,
    }));
    for (const experiment of [...experiments, ...experiments]) await advanceWindow(deps, experiment);
    const event: Event = {
      environment_key: environmentKey,
      feature_name: FEATURE,
      timestamp: from,
      identifier: "ann",
      value: "a",
    };
    await warehouse.insert([event, { ...event, timestamp: from + HOUR, value: "b" }]);
    const [both, later] = await Promise.all(experiments.map((each) => exposuresOf(each, from + 2 * HOUR, [])));
    expect(JSON.parse(both?.text ?? "")).toMatchObject({ total_identities: 0, excluded_identities: 1 });
    expect(JSON.parse(later?.text ?? "")).toMatchObject({ total_identities: 1, variants: { b: 1 } });
  });

  it("contain all events of a user whose joins are ANY by default", async () => {
    const environmentKey = randomUUID();
    const experiments = [0, 1].map((index) => ({
      ...experimentOf(environmentKey, from),
      experimentId: `${environmentKey}-${index}`,
    }));
    for (const experiment of [...experiments, ...experiments]) await advanceWindow(deps, experiment);
    const inserted = await connection.command(
      `INSERT INTO ${warehouse.settings.database}.events
        (environment_key, event, feature_name, timestamp, collected_at, identifier, value)
      SELECT {environment:String}, '$flag_exposure', {feature:String}, fromUnixTimestamp64Milli(${from}) AS timestamp, timestamp,
        arrayJoin(['ann', 'bob', '']), 'a'`,
      { environment: environmentKey, feature: FEATURE },
      { join_default_strictness: "ANY" },
    );
    expect(inserted).toMatchObject({ ok: true });
    for (const experiment of experiments)
      expect(await exposuresOf(experiment, from + HOUR, [])).toMatchObject({
        counts: [{ variant: "a", identities: 2 }],
        collection: { invalidEvents: 1, events: 3 },
      });
  });
});

describe("a failing view", () => {
  it("fails the insert, or leaves the states incomplete if the inserting user ignores its errors", async () => {
    const broken = await createWarehouse({ states: true });
    const connection = connectWarehouse(broken.settings);
    const experiment = experimentOf(randomUUID(), from);
    for (const _ of ["opened", "filled"]) await advanceWindow({ ...deps, warehouse: connection }, experiment);
    await broken.command("DROP TABLE exposure_firsts");
    const insert = `INSERT INTO events (environment_key, event, feature_name, timestamp, collected_at, identifier, value)
      SELECT '${experiment.environmentKey}', '$flag_exposure', {feature:String}, fromUnixTimestamp64Milli(${from}) AS timestamp,
        timestamp, 'ann', 'a'`;
    const parameters = { feature: FEATURE };
    expect(await connection.command(insert, parameters)).toMatchObject({ ok: false });
    const ignoring = { materialized_views_ignore_errors: "1" };
    expect(await connection.command(insert, parameters, ignoring)).toMatchObject({ ok: true });
    const query = { ...experiment, window: { from, to: from + HOUR } };
    expect(await countExposures(connection, query)).toMatchObject({ ok: true, value: { counts: [{ identities: 1 }] } });
  });
});

describe("countFromStates", () => {
  it("returns null if the window was dropped during the count", async () => {
    const experiment = experimentOf(randomUUID(), from);
    await advanceWindow(deps, experiment);
    await advanceWindow(deps, experiment);
    const query = { ...experiment, window: { from, to: from + HOUR } };
    expect(await countFromStates(deps, experiment, query)).toMatchObject({ counts: [] });
    const found = await findWindow(connection, experiment);
    const dropped = (found.ok && found.value?.window) || "";
    const select: Warehouse["select"] = async (sql, parameters, settings) => {
      if (sql.includes("exposure_identities")) await recordWindow(connection, dropped, experiment, "dropped");
      return connection.select(sql, parameters, settings);
    };
    expect(await countFromStates({ ...deps, warehouse: { ...connection, select } }, experiment, query)).toBe(null);
  });
});

describe("advanceWindow", () => {
  it("opens a window once, and fills it only when no earlier insert can still be in flight", async () => {
    const experiment = experimentOf(randomUUID(), from);
    const waiting = { ...deps, longestInsertMs: 3_600_000 };
    const stateOf = async () => {
      const found = await findWindow(connection, experiment);
      return found.ok ? found.value?.state : found;
    };
    expect(await stateOf()).toBe(undefined);
    await advanceWindow(waiting, experiment);
    expect(await stateOf()).toBe("opened");
    await advanceWindow(waiting, experiment);
    expect(await stateOf()).toBe("opened");
    await advanceWindow(deps, experiment);
    expect(await stateOf()).toBe("filled");
    await advanceWindow(deps, experiment);
    const windows = await listWindows(connection, "", 10_000);
    expect(
      windows.ok && windows.value.filter(({ experimentId }) => experimentId === experiment.experimentId),
    ).toMatchObject([{ ...experiment, state: "filled" }]);
  });

  /** Opens a window of ten days after events on its first and its last day, and one with a time in the future. */
  async function openAfterTenDays(): Promise<StartedExperiment> {
    const startedAt = Date.now() - 10 * DAY;
    const experiment = experimentOf(randomUUID(), startedAt);
    const event = { environment_key: experiment.environmentKey, feature_name: FEATURE, value: "a" };
    await warehouse.insert([
      { ...event, identifier: "first day", timestamp: startedAt },
      { ...event, identifier: "last day", timestamp: startedAt + 9.9 * DAY },
      { ...event, identifier: "tomorrow", timestamp: startedAt + 11 * DAY },
    ]);
    await advanceWindow(deps, experiment);
    return experiment;
  }

  it("fills slices of growing length, and goes on after the last one", async () => {
    const experiment = await openAfterTenDays();
    const slices: number[] = [];
    let now = 0;
    const slow: FillDeps = {
      ...deps,
      // Two slices are as many as fit into one refresh.
      clock: () => now,
      warehouse: {
        ...connection,
        command: async (sql, parameters, settings) => {
          if (sql.includes("exposure_firsts")) {
            // The server spills the GROUP BY to its disk.
            expect(settings).toMatchObject({ max_bytes_before_external_group_by: "50000000" });
            slices.push((Number(parameters["to"]) - Number(parameters["from"])) / DAY);
            now += slices.length === 1 ? 9000 : 21_000;
          }
          return connection.command(sql, parameters, settings);
        },
      },
    };
    const lengths = async () => {
      slices.length = 0;
      await advanceWindow(slow, experiment);
      return [...slices];
    };
    expect(await lengths()).toEqual([1, 4]);
    expect(await findWindow(connection, experiment)).toMatchObject({
      value: { state: "opened", fill: { to: experiment.startedAt + 5 * DAY, sliceMs: 4 * DAY, failures: 0 } },
    });
    expect(await lengths()).toEqual([4, expect.any(Number)]);
    expect(await findWindow(connection, experiment)).toMatchObject({ value: { state: "filled" } });
    const { text } = await exposuresOf(experiment, experiment.startedAt + 12 * DAY, []);
    expect(JSON.parse(text)).toMatchObject({ total_identities: 3 });
  });

  it("retries a failed slice after an hour, with a shorter slice, and logs each attempt once", async () => {
    const experiment = await openAfterTenDays();
    const logged: string[] = [];
    let attempts = 0;
    let ageMs = 0;
    const failing: FillDeps = {
      ...deps,
      log: (_, event) => logged.push(event),
      warehouse: {
        ...connection,
        select: async (sql, parameters, settings) => {
          const rows = await connection.select(sql, parameters, settings);
          return rows.ok ? ok(rows.value.map((row) => ({ ...Object(row), age: ageMs }))) : rows;
        },
        command: async (sql, parameters, settings) => {
          if (!sql.includes("exposure_firsts")) return connection.command(sql, parameters, settings);
          attempts += 1;
          return failed({ kind: "timeout" });
        },
      },
    };
    const advance = async (age: number) => {
      ageMs = age;
      await advanceWindow(failing, experiment);
      const found = await findWindow(connection, experiment);
      return { attempts, fill: found.ok && found.value?.fill };
    };
    const to = experiment.startedAt;
    expect(await advance(0)).toEqual({ attempts: 1, fill: { to, sliceMs: 6 * HOUR, failures: 1 } });
    expect(await advance(HOUR - 1)).toMatchObject({ attempts: 1 });
    expect(await advance(HOUR)).toEqual({ attempts: 2, fill: { to, sliceMs: 1.5 * HOUR, failures: 2 } });
    expect(await advance(2 * HOUR - 1)).toMatchObject({ attempts: 2 });
    expect(await advance(2 * HOUR)).toMatchObject({ attempts: 3, fill: { failures: 3 } });
    expect(logged).toEqual(["states.failed", "states.failed", "states.failed"]);

    // It goes on as soon as a slice succeeds.
    ageMs = 4 * HOUR;
    await advanceWindow(
      { ...failing, log: deps.log, warehouse: { ...connection, select: failing.warehouse.select } },
      experiment,
    );
    expect(await findWindow(connection, experiment)).toMatchObject({
      value: { state: "filled", fill: { failures: 0 } },
    });
  });

  it("opens another window after a drop", async () => {
    const experiment = experimentOf(randomUUID(), from);
    await advanceWindow(deps, experiment);
    const first = await findWindow(connection, experiment);
    await recordWindow(connection, (first.ok && first.value?.window) || "", experiment, "dropped");
    await advanceWindow(deps, experiment);
    const second = await findWindow(connection, experiment);
    expect(second).toMatchObject({ ok: true, value: { state: "opened" } });
  });

  it("does not use the window of another definition of the experiment", async () => {
    const experiment = experimentOf(randomUUID(), from);
    await advanceWindow(deps, experiment);
    await advanceWindow(deps, experiment);
    for (const changed of [{ startedAt: from + 1 }, { featureName: "other" }, { environmentKey: "other" }]) {
      const found = await findWindow(connection, { ...experiment, ...changed });
      expect(found, JSON.stringify(changed)).toEqual({ ok: true, value: null });
    }
  });
});
