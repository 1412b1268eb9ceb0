import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { faults, passThrough, startProxy, type WarehouseProxy } from "../support/proxy.ts";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

// From events in ClickHouse to the health in the response. Tests of the checks themselves: test/exposures.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let warehouse: TestWarehouse;
let worker: TestWorker;
let proxy: WarehouseProxy;
let count = 0;
beforeAll(async () => {
  warehouse = await createWarehouse();
  proxy = await startProxy(warehouse.settings);
  worker = await startWorker(proxy.settings, { EVENTS_TTL_DAYS: 30, BREAKDOWN_TRAITS: "plan, country" });
});
afterAll(async () => {
  await worker.stop();
  proxy.stop();
});

type Check = { name: string; status: string; detail: string } & Record<string, unknown>;

/** Returns the health of a new experiment that started `age` milliseconds ago. `byName` has its checks by name. */
async function healthOf(variants: Record<string, number>, age: number, events: Partial<Event>[], hasEnded = false) {
  const id = `health-${++count}`;
  const startedAt = Date.now() - age;
  const defaults = { environment_key: "env", feature_name: id, value: "control", timestamp: startedAt };
  await warehouse.insert(events.map((event, index) => ({ ...defaults, identifier: `identity-${index}`, ...event })));
  await worker.call("PUT", `/v1/experiments/${id}`, {
    environment_key: "env",
    feature_name: id,
    variants: Object.entries(variants).map(([key, weight]) => ({ key, weight })),
    started_at: new Date(startedAt).toISOString(),
    ended_at: hasEnded ? new Date(startedAt + age / 2).toISOString() : null,
  });
  const { exposures } = await until(
    () => worker.exposures(id),
    (response) => response.exposures !== null,
  );
  const { status, checks }: { status: string; checks: Check[] } = exposures.health;
  return { status, checks, startedAt, byName: Object.fromEntries(checks.map((check) => [check.name, check])) };
}

const noCauses = { causes: null, causes_detail: null, began_at: null, breakdown: null };
const times = (count: number, event: Partial<Event>) => Array<Partial<Event>>(count).fill(event);

describe("the health in an exposures response", () => {
  it("has every check in its order, with its figures", async () => {
    const { status, checks, startedAt } = await healthOf({ control: 1, treatment: 1 }, HOUR, [
      ...times(1000, { value: "control" }),
      ...times(1200, { value: "treatment" }),
    ]);
    expect(status).toBe("warning");
    const detail = expect.stringMatching(/^[^\n]+\.$/);
    const healthy = { status: "healthy", detail };
    expect(checks).toEqual([
      {
        name: "sample_ratio",
        status: "warning",
        detail: expect.stringContaining('"control" has 1,000 of 2,200 identities instead of 1,100'),
        p_value: expect.closeTo(0.000020079, 9),
        sequential_p_value: expect.closeTo(0.214354914640661, 12),
        expected: { control: 0.5, treatment: 0.5 },
        observed: { control: 1000, treatment: 1200 },
        tested_from: null,
        causes: [],
        began_at: null,
        breakdown: null,
        causes_detail: expect.stringMatching(/^[^\n]+\.$/),
      },
      { name: "multiple_variants", ...healthy, share: 0, excluded_identities: 0, ...noCauses },
      { name: "unknown_variants", ...healthy, variants: {} },
      { name: "exposures_arriving", ...healthy, latest_exposure_at: new Date(startedAt).toISOString() },
      { name: "late_events", ...healthy, share: 0, late_identities: 0 },
      { name: "window", ...healthy, days: expect.closeTo(1 / 24, 1), events_ttl_days: 30 },
      { name: "invalid_events", ...healthy, share: 0, invalid_events: 0 },
    ]);
  });

  it("is unhealthy when the split is surely off, even after repeated looks", async () => {
    const { status, byName } = await healthOf({ control: 1, treatment: 1 }, HOUR, times(2000, {}));
    expect(status).toBe("unhealthy");
    expect(byName["sample_ratio"]).toMatchObject({ status: "unhealthy", observed: { control: 2000, treatment: 0 } });
    expect(byName["sample_ratio"]?.["sequential_p_value"]).toBeGreaterThan(0);
  });

  it("is waiting before the first event arrives", async () => {
    const { status, byName } = await healthOf({ control: 1, treatment: 1 }, HOUR, []);
    expect(status).toBe("waiting");
    expect(byName["sample_ratio"]).toMatchObject({ status: "waiting", p_value: null, sequential_p_value: null });
    expect(byName["exposures_arriving"]).toMatchObject({ status: "waiting", latest_exposure_at: null });
    for (const name of ["multiple_variants", "late_events", "invalid_events"])
      expect(byName[name]).toMatchObject({ status: "healthy", share: null });
  });

  it("counts an identity as late if its first exposure was collected late", async () => {
    const at = Date.now() - 5 * HOUR;
    const late = (hours: number) => ({ timestamp: at, collected_at: at + hours * HOUR });
    const { byName } = await healthOf({}, 6 * HOUR, [
      { ...late(1), identifier: "just in time" },
      { timestamp: at, collected_at: at + HOUR + 1, identifier: "late" },
      { ...late(3), identifier: "collected twice" },
      { ...late(0), identifier: "collected twice" },
      { ...late(0), identifier: "later on time", timestamp: at + HOUR, collected_at: at + HOUR },
      { ...late(3), identifier: "later on time" },
      { ...late(3), identifier: "several variants" },
      { ...late(3), identifier: "several variants", value: "treatment" },
      { ...late(-1), identifier: "a clock that is ahead" },
    ]);
    expect(byName["late_events"]).toMatchObject({ status: "warning", late_identities: 3, share: 0.5 });
  });

  it("counts events without an identity or a variant as invalid, each once, and no others", async () => {
    const { byName } = await healthOf({}, HOUR, [
      ...times(95, {}),
      { identifier: "" },
      { identifier: "" },
      { identifier: "", value: "" },
      { value: "" },
      { identifier: "identity-0", value: "" },
      { identifier: "", feature_name: "another" },
      { identifier: "", event: "$flag_evaluation" },
      { value: "", timestamp: Date.now() - 2 * HOUR },
    ]);
    expect(byName["invalid_events"]).toMatchObject({ status: "warning", invalid_events: 5, share: 0.05 });
  });

  it("lists variants that are not configured or have no weight, whatever their names", async () => {
    const { byName } = await healthOf({ control: 1, off: 0, unseen: 0, "2": 1 }, HOUR, [
      {},
      { value: "off" },
      { value: "__proto__" },
      { value: "10" },
      { value: "10" },
      { value: "$multiple" },
    ]);
    expect(byName["unknown_variants"]?.status).toBe("warning");
    const variants = byName["unknown_variants"]?.["variants"];
    expect(new Map(Object.entries(variants ?? {}))).toEqual(
      new Map([
        ["10", 2],
        ["off", 1],
        ["$multiple", 1],
        ["__proto__", 1],
      ]),
    );
  });

  it("warns when the start is older than EVENTS_TTL_DAYS and when traffic has stopped", async () => {
    const { byName, startedAt } = await healthOf({}, 31 * DAY, [{}]);
    expect(byName["window"]).toMatchObject({ status: "warning", days: expect.closeTo(31, 1), events_ttl_days: 30 });
    expect(byName["exposures_arriving"]).toMatchObject({
      status: "warning",
      latest_exposure_at: new Date(startedAt).toISOString(),
    });
  });

  it("expects no more traffic once the experiment has ended", async () => {
    const ended = await healthOf({}, 8 * DAY, [{}], true);
    expect(ended.byName["exposures_arriving"]).toMatchObject({ status: "healthy" });
    const empty = await healthOf({}, HOUR, [], true);
    expect(empty.byName["exposures_arriving"]).toMatchObject({ status: "unhealthy", latest_exposure_at: null });
  });

  it("tests the split since the weights changed, which an export keeps and the chart marks", async () => {
    const ramped = (hours: number, control: number, treatment: number) =>
      Object.entries({ control, treatment }).flatMap(([value, count]) =>
        times(count, { value, timestamp: Date.now() - hours * HOUR }),
      );
    const { byName, startedAt } = await healthOf({ control: 90, treatment: 10 }, 9 * HOUR, [
      ...ramped(8, 900, 100),
      ...ramped(1, 200, 200),
    ]);
    expect(byName["sample_ratio"]?.status).toBe("unhealthy");
    const id = `health-${count}`;
    const read = async (path: string) => (await worker.call("GET", path)).json;
    const {
      id: _,
      status: __,
      created_at,
      updated_at,
      weights_changed_at,
      source: ___,
      ...definition
    } = await read(`/v1/experiments/${id}`);
    expect(weights_changed_at).toBeNull();
    const even = definition.variants.map(({ key }: { key: string }) => ({ key, weight: 1 }));
    const edited = await worker.call("PUT", `/v1/experiments/${id}`, { ...definition, variants: even });
    expect(edited.json.weights_changed_at).toBe(edited.json.updated_at);
    const waiting = await until(
      () => worker.exposures(id),
      ({ exposures }) => exposures.health.checks[0].tested_from !== null,
    );
    expect(waiting.exposures.health.checks[0]).toMatchObject({
      status: "waiting",
      detail: expect.stringMatching(/^0 identities from .* on: wait for 100/),
    });

    // An import can move the change into the past, which the real clock does not allow otherwise.
    const exported = (await worker.call("GET", "/v1/export")).text;
    const line = JSON.parse(exported.split("\n").find((line) => line.includes(`"id":"${id}"`)) ?? "");
    expect(line.weights_changed_at).toBe(edited.json.weights_changed_at);
    await worker.call("DELETE", `/v1/experiments/${id}`);
    const changedAt = new Date(startedAt + 4 * HOUR).toISOString();
    const empty = { as_of: null, computed_at: null, exposures: null };
    const lines = JSON.stringify({ ...line, ...empty, weights_changed_at: changedAt });
    await worker.call("POST", "/v1/import", lines, { "Content-Type": "application/jsonl" });
    await worker.call("POST", `/v1/experiments/${id}/exposures/refresh`);
    const { exposures } = await until(
      () => worker.exposures(id),
      (response) => response.exposures !== null,
    );
    expect(exposures).toMatchObject({ total_identities: 1400, health: { status: "healthy" } });
    expect(exposures.health.checks[0]).toMatchObject({ observed: { control: 200, treatment: 200 } });
    const { text: svg } = await worker.call("GET", `/v1/experiments/${id}/exposures.svg`);
    expect(svg).toContain(`<title>weights changed ${changedAt.slice(0, 16).replace("T", " ")} UTC</title>`);
  });

  it("is the same after an export and an import", async () => {
    const { checks } = await healthOf({ b: 1, "1": 1, a: 0 }, HOUR, [
      ...times(150, { value: "b" }),
      { value: "a" },
      { value: "2" },
    ]);
    const id = `health-${count}`;
    const exported = (await worker.call("GET", "/v1/export")).text;
    await worker.call("DELETE", `/v1/experiments/${id}`);
    const lines = exported.split("\n").filter((line) => line.includes(`"id":"${id}"`));
    const imported = await worker.call("POST", "/v1/import", lines.join("\n"), { "Content-Type": "application/jsonl" });
    expect(imported.json).toMatchObject({ imported: [id] });
    expect((await worker.exposures(id)).exposures.health.checks).toEqual(checks);
  });
});

describe("the causes of bad health", () => {
  /** Ten plans in each SDK version. Version 2.0.0 loses half of the treatment. */
  const planted = (versions: readonly string[]) =>
    versions.flatMap((sdk_version) =>
      Array.from({ length: 400 }, (_, index) => ({
        sdk_version,
        traits: JSON.stringify({ plan: `plan ${Math.floor(index / 4) % 10}` }),
        value: (sdk_version === "2.0.0" ? index % 4 === 0 : index % 2 === 0) ? "treatment" : "control",
      })),
    );

  it("name the SDK version that loses a variant, with the counts of all", async () => {
    const { byName } = await healthOf({ control: 1, treatment: 1 }, HOUR, planted(["1.0.0", "2.0.0", "3.0.0"]));
    const found = byName["sample_ratio"];
    expect(found).toMatchObject({ status: "warning", began_at: null });
    expect(found?.["causes"]).toEqual([
      {
        dimension: "sdk_version",
        value: "2.0.0",
        identities: { control: 300, treatment: 100 },
        excluded_identities: 0,
        p_value: expect.any(Number),
        explained: expect.any(Number),
        is_fair_without: true,
        same_as: [],
        detail: expect.stringContaining('"2.0.0"'),
      },
    ]);
    expect(found?.["causes_detail"]).toMatch(/^[^\n]+\.$/);
    expect(found?.["breakdown"]).toEqual({
      dimension: "sdk_version",
      values: [
        { value: "1.0.0", identities: { control: 200, treatment: 200 }, excluded_identities: 0 },
        { value: "2.0.0", identities: { control: 300, treatment: 100 }, excluded_identities: 0 },
        { value: "3.0.0", identities: { control: 200, treatment: 200 }, excluded_identities: 0 },
      ],
    });
    const csv = await worker.call("GET", `/v1/experiments/health-${count}/causes.csv`);
    expect(csv.text.split("\r\n")).toEqual([
      "check,dimension,value,variant,identities,detail",
      expect.stringMatching(/^"sample_ratio","sdk_version","2.0.0","control",300,"/),
      expect.stringMatching(/^"sample_ratio","sdk_version","2.0.0","treatment",100,"/),
      expect.stringMatching(/^"sample_ratio","sdk_version","2.0.0","\$multiple",0,"/),
      "",
    ]);
  });

  it("name the value of a trait whose identities see several variants", async () => {
    const events = ["free", "team"].flatMap((plan) =>
      Array.from({ length: 300 }, (_, index) => {
        const event = { identifier: `${plan} ${index}`, traits: JSON.stringify({ plan }) };
        return plan === "team" && index % 3 === 0 ? [event, { ...event, value: "treatment" }] : [event];
      }).flat(),
    );
    const { byName } = await healthOf({}, HOUR, events);
    expect(byName["multiple_variants"]).toMatchObject({
      status: "unhealthy",
      causes: [{ dimension: "traits.plan", value: "team", excluded_identities: 100 }],
    });
  });

  it("name the SDK versions of late events and of unknown variants", async () => {
    const at = Date.now() - 5 * HOUR;
    const events = Array.from({ length: 400 }, (_, index) => {
      const isOld = index % 4 === 0;
      const sdk_version = isOld ? "0.9.0" : "1.0.0";
      return { sdk_version, timestamp: at, collected_at: isOld ? at + 2 * HOUR : at, value: isOld ? "old" : "control" };
    });
    const { byName } = await healthOf({ control: 1 }, 6 * HOUR, events);
    for (const name of ["late_events", "unknown_variants"])
      expect(byName[name]).toMatchObject({ status: "warning", detail: expect.stringContaining('"0.9.0"') });
  });

  it("cost no query while all is well, and one while it is not", async () => {
    const before = proxy.state.queries;
    await healthOf({ control: 1, treatment: 1 }, HOUR, planted(["1.0.0"]));
    expect(proxy.state.queries - before).toBe(1);
    await healthOf({ control: 1, treatment: 1 }, HOUR, [...planted(["2.0.0"]), { value: "other" }]);
    expect(proxy.state.queries - before).toBe(3);
  });

  it("are null if the query for them fails, and the numbers are stored all the same", async () => {
    const feature = `health-${count + 1}`;
    proxy.injectFault((upstream, response) => {
      const isBreakdown = upstream.body.includes('"dimension"');
      (isBreakdown ? faults["status 500"] : passThrough)(upstream, response);
    }, feature);
    const { byName } = await healthOf({ control: 1, treatment: 1 }, HOUR, planted(["2.0.0"]));
    expect(byName["sample_ratio"]).toMatchObject({ status: "warning", ...noCauses });
    const line = worker
      .logs()
      .find(({ event, experiment_id }) => event === "causes.failed" && experiment_id === feature);
    expect(line).toMatchObject({ level: "warn", kind: expect.any(String), advice: expect.any(String) });
  });
});
