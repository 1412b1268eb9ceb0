import { afterAll, beforeAll, describe, it } from "vitest";
import { createWarehouse, type TestWarehouse } from "../support/warehouse.ts";
import { ADMIN, startWorkerd, until, varsFor } from "../support/worker.ts";

let warehouse: TestWarehouse;
let runtime: Awaited<ReturnType<typeof startWorkerd>>;
beforeAll(async () => {
  warehouse = await createWarehouse();
  runtime = await startWorkerd(varsFor(warehouse.settings, { REFRESH_MIN_INTERVAL_SECONDS: 1 }));
});
afterAll(() => runtime.stop());

describe("the Durable Object of an experiment", () => {
  it("keeps nothing once the experiment is gone, though a refresh was due", async () => {
    const headers = { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/json" };
    const body = { environment_key: "env", feature_name: "button", started_at: "2026-06-01T00:00:00.000Z" };
    const address = "/v1/experiments/gone";
    await runtime.fetch(address, { method: "PUT", headers, body: JSON.stringify(body) });
    await runtime.fetch(`${address}/exposures/refresh`, { method: "POST", headers });
    await runtime.fetch(address, { method: "DELETE", headers });
    const storage = await runtime.worker.getDurableObjectStorage("COORDINATOR", { name: "gone" });
    const entries = () => storage.exec("SELECT count(*) AS entries FROM _cf_KV").catch(() => [{ entries: 0 }]);
    await until(entries, ([row]) => row?.["entries"] === 0);
  });
});
