import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse, type Event, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

// From events in ClickHouse to the health in the answer. What each check makes of its figures, its own tests say.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let warehouse: TestWarehouse;
let worker: TestWorker;
let count = 0;
beforeAll(async () => {
  warehouse = await createWarehouse();
  worker = await startWorker(warehouse.settings, { EVENTS_TTL_DAYS: 30 });
});
afterAll(() => worker.stop());

type Check = { name: string; status: string; detail: string } & Record<string, unknown>;

/** The health of an experiment that began so long ago, by name of the check. */
async function healthOf(variants: Record<string, number>, age: number, events: Partial<Event>[], isOver = false) {
  const id = `health-${++count}`;
  const started = Date.now() - age;
  const event = { environment_key: "env", feature_name: id, value: "control", timestamp: started };
  await warehouse.insert(events.map((own, index) => ({ ...event, identifier: `identity-${index}`, ...own })));
  await worker.call("PUT", `/v1/experiments/${id}`, {
    environment_key: "env",
    feature_name: id,
    variants: Object.entries(variants).map(([key, weight]) => ({ key, weight })),
    started_at: new Date(started).toISOString(),
    ended_at: isOver ? new Date(started + age / 2).toISOString() : null,
  });
  const { exposures } = await until(
    () => worker.exposures(id),
    (answer) => answer.exposures !== null,
  );
  const { status, checks }: { status: string; checks: Check[] } = exposures.health;
  return { status, checks, started, by: Object.fromEntries(checks.map((check) => [check.name, check])) };
}

const times = (count: number, event: Partial<Event>) => Array<Partial<Event>>(count).fill(event);

describe("the health in an exposures answer", () => {
  it("has every check in its order, with the figures that it goes by", async () => {
    const { status, checks, started } = await healthOf({ control: 1, treatment: 1 }, HOUR, [
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
      },
      { name: "multiple_variants", ...healthy, share: 0, excluded_identities: 0 },
      { name: "unknown_variants", ...healthy, variants: {} },
      { name: "exposures_arriving", ...healthy, latest_exposure_at: new Date(started).toISOString() },
      { name: "late_events", ...healthy, share: 0, late_identities: 0 },
      { name: "window", ...healthy, days: expect.closeTo(1 / 24, 1), events_ttl_days: 30 },
      { name: "invalid_events", ...healthy, share: 0, invalid_events: 0 },
    ]);
  });

  it("is unhealthy where the split is off beyond doubt, whoever looks how often", async () => {
    const { status, by } = await healthOf({ control: 1, treatment: 1 }, HOUR, times(2000, {}));
    expect(status).toBe("unhealthy");
    expect(by["sample_ratio"]).toMatchObject({ status: "unhealthy", observed: { control: 2000, treatment: 0 } });
    expect(by["sample_ratio"]?.["sequential_p_value"]).toBeGreaterThan(0);
  });

  it("waits where nothing has come yet", async () => {
    const { status, by } = await healthOf({ control: 1, treatment: 1 }, HOUR, []);
    expect(status).toBe("waiting");
    expect(by["sample_ratio"]).toMatchObject({ status: "waiting", p_value: null, sequential_p_value: null });
    expect(by["exposures_arriving"]).toMatchObject({ status: "waiting", latest_exposure_at: null });
    for (const name of ["multiple_variants", "late_events", "invalid_events"])
      expect(by[name]).toMatchObject({ status: "healthy", share: null });
  });

  it("finds late events by when they were collected, at their first exposure", async () => {
    const at = Date.now() - 5 * HOUR;
    const late = (hours: number) => ({ timestamp: at, collected_at: at + hours * HOUR });
    const { by } = await healthOf({}, 6 * HOUR, [
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
    expect(by["late_events"]).toMatchObject({ status: "warning", late_identities: 3, share: 0.5 });
  });

  it("counts events without an identity or a variant, each once, and no others", async () => {
    const { by } = await healthOf({}, HOUR, [
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
    expect(by["invalid_events"]).toMatchObject({ status: "warning", invalid_events: 5, share: 0.05 });
  });

  it("names variants that nobody configured or gave a weight, whatever they are called", async () => {
    const { by } = await healthOf({ control: 1, off: 0, unseen: 0, "2": 1 }, HOUR, [
      {},
      { value: "off" },
      { value: "__proto__" },
      { value: "10" },
      { value: "10" },
      { value: "$multiple" },
    ]);
    expect(by["unknown_variants"]?.status).toBe("warning");
    const variants = by["unknown_variants"]?.["variants"];
    expect(new Map(Object.entries(variants ?? {}))).toEqual(
      new Map([
        ["10", 2],
        ["off", 1],
        ["$multiple", 1],
        ["__proto__", 1],
      ]),
    );
  });

  it("warns of a window that is longer than EVENTS_TTL_DAYS, and of traffic that has stopped", async () => {
    const { by, started } = await healthOf({}, 31 * DAY, [{}]);
    expect(by["window"]).toMatchObject({ status: "warning", days: expect.closeTo(31, 1), events_ttl_days: 30 });
    expect(by["exposures_arriving"]).toMatchObject({
      status: "warning",
      latest_exposure_at: new Date(started).toISOString(),
    });
  });

  it("of an experiment that is over asks for no more traffic", async () => {
    const over = await healthOf({}, 8 * DAY, [{}], true);
    expect(over.by["exposures_arriving"]).toMatchObject({ status: "healthy" });
    const empty = await healthOf({}, HOUR, [], true);
    expect(empty.by["exposures_arriving"]).toMatchObject({ status: "unhealthy", latest_exposure_at: null });
  });

  it("travels with an export and comes back the same", async () => {
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
