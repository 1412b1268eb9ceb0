import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { startWorker, type TestWorker, until } from "../support/worker.ts";

let warehouse: TestWarehouse;
let worker: TestWorker;
beforeAll(async () => {
  warehouse = await createWarehouse();
  worker = await startWorker(warehouse.settings);
});
afterAll(() => worker.stop());

describe("from events in ClickHouse to an edge GET", () => {
  it("counts each identity once, in the bucket of its first exposure", async () => {
    const from = Date.UTC(2026, 5, 1);
    const event = { environment_key: "env", feature_name: "button" };
    await warehouse.insert([
      { ...event, identifier: "ann", value: "control", timestamp: from + 3_600_000 },
      { ...event, identifier: "ann", value: "control", timestamp: from },
      { ...event, identifier: "bob", value: "treatment", timestamp: from + 3_600_000 },
      { ...event, identifier: "cid", value: "treatment", timestamp: from },
      { ...event, identifier: "cid", value: "control", timestamp: from + 1 },
    ]);
    const put = await worker.call("PUT", "/v1/experiments/checkout", {
      environment_key: "env",
      feature_name: "button",
      variants: [
        { key: "control", weight: 1 },
        { key: "treatment", weight: 1 },
      ],
      started_at: "2026-06-01T00:00:00.000Z",
      ended_at: "2026-06-01T02:00:00.000Z",
    });
    expect(put.status).toBe(201);
    const answer = await until(
      () => worker.exposures("checkout"),
      ({ exposures }) => exposures !== null,
    );
    expect(answer).toMatchObject({
      is_final: true,
      as_of: "2026-06-01T02:00:00.000Z",
      exposures: { total_identities: 2, excluded_identities: 1 },
    });
  });
});
