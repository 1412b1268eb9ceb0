import { describe, expect, it } from "vitest";
import {
  DAY,
  HOUR,
  iso,
  SETTLE,
  type SimulatedExperiment,
  type SimulatedService,
  useSimulatedService,
} from "../support/simulated-service.ts";
import type { TestWarehouse } from "../support/warehouse.ts";

const NOW = Date.UTC(2026, 5, 20, 10, 30);
/** The last millisecond that the API accepts. */
const LAST = Date.UTC(2300, 0) - 1;

let warehouse: TestWarehouse;
let service: SimulatedService;
let experiment: SimulatedExperiment;
useSimulatedService(NOW, (setup) => {
  ({ warehouse, service, experiment } = setup);
});

const variants = (...keys: string[]) => ({ variants: keys.map((key) => ({ key, weight: 1 })) });

describe("an experiment at the limits of the accepted times", () => {
  it("is counted and final if it ran on the first day of 1970", async () => {
    await experiment.expose(0, DAY - 1, DAY);
    await experiment.put(0, DAY);
    const response = await experiment.exposures();
    expect(response).toMatchObject({
      as_of: "1970-01-02T00:00:00.000Z",
      is_final: true,
      exposures: { total_identities: 2 },
    });
    expect(response.exposures.timeseries.points).toHaveLength(24);
    expect(await experiment.read()).toMatchObject({ started_at: "1970-01-01T00:00:00.000Z", status: "completed" });
  });

  it("has one bucket if it ran for the first millisecond of 1970", async () => {
    await experiment.expose(0, 1);
    await experiment.put(0, 1);
    const { exposures } = await experiment.exposures();
    expect(exposures.total_identities).toBe(1);
    expect(exposures.timeseries.points).toHaveLength(1);
  });

  it("is running if it ends at the end of 2299", async () => {
    await experiment.expose(NOW - 1);
    expect((await experiment.put(NOW - HOUR, LAST)).json).toMatchObject({
      status: "running",
      ended_at: "2299-12-31T23:59:59.999Z",
    });
    expect(await experiment.exposures()).toMatchObject({ as_of: iso(NOW), exposures: { total_identities: 1 } });
  });

  it("is a draft until its start in 2299, and final after the settling time, in 2300", async () => {
    const start = LAST - DAY;
    await experiment.put(start, LAST);
    await experiment.expose(start - 1, start, LAST - 1, LAST);
    expect((await experiment.exposures()).status).toBe("draft");
    service.set(start + 1);
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({ status: "running", exposures: { total_identities: 1 } });
    service.set(LAST + SETTLE);
    await service.sweep();
    expect(await experiment.exposures()).toMatchObject({
      as_of: "2299-12-31T23:59:59.999Z",
      is_final: true,
      exposures: { total_identities: 2 },
    });
  });

  it("may start and end in the last milliseconds of 2299, but not later", async () => {
    expect((await experiment.put(LAST - 1, LAST)).status).toBe(201);
    expect((await experiment.put(LAST, LAST + 1)).status).toBe(400);
  });
});

describe("a window from 1970 to now", () => {
  it("is stored without variants, with all of its 20,000 days", async () => {
    await experiment.put(0);
    const { exposures } = await experiment.exposures();
    expect(exposures.timeseries.granularity).toBe("day");
    expect(exposures.timeseries.points).toHaveLength(Math.ceil(NOW / DAY));
    expect(exposures.timeseries.points.at(-1).bucket).toBe("2026-06-20T00:00:00.000Z");
  });

  it("is too large with two variants: it has no numbers, one log line with advice, and no retry", async () => {
    await experiment.put(0, null, variants("control", "treatment"));
    expect(await experiment.exposures()).toMatchObject({ as_of: null, exposures: null, last_error_at: iso(NOW) });
    expect(service.logged("refresh.failed")).toMatchObject([
      { level: "error", fields: { kind: "too_large", transient: false, advice: expect.stringContaining("too large") } },
    ]);
    const { queries } = service.state;
    await service.pass(HOUR);
    expect(service.state.queries).toBe(queries);
  });

  it("is too large with thousands of observed variants, and fails before it fills the memory", async () => {
    const event = { environment_key: experiment.id, feature_name: experiment.id, timestamp: NOW - 1 };
    await warehouse.insert(
      Array.from({ length: 2000 }, (_, index) => ({ ...event, identifier: `i-${index}`, value: `a value ${index}` })),
    );
    // The numbers would take 330 MB, and their text would exceed the maximum length of a string, which would be a bug.
    await experiment.put(0);
    expect((await experiment.exposures()).last_error_at).toBe(iso(NOW));
    expect(service.logged("refresh.failed")).toMatchObject([{ fields: { kind: "too_large", transient: false } }]);
    expect((await experiment.put(NOW - HOUR)).status).toBe(200);
    expect(await experiment.exposures()).toMatchObject({
      last_error_at: null,
      exposures: { total_identities: 2000 },
    });
  });
});
