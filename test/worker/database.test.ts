import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMiniflare } from "../support/miniflare.ts";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, until, varsFor } from "../support/worker.ts";

let runtime: Awaited<ReturnType<typeof startMiniflare>>;
beforeAll(async () => {
  runtime = await startMiniflare(varsFor((await createWarehouse()).settings));
  await runtime.execute("ALTER TABLE experiments RENAME TO lost");
});
afterAll(() => runtime.stop());

describe("a failure of D1", () => {
  it.each(["/v1/experiments", "/v1/experiments/some", "/v1/experiments/some/exposures"])(
    "makes GET %s return 503 with Retry-After, and is logged once",
    async (path) => {
      runtime.clearLines();
      const response = await runtime.fetch(path, { headers: { Authorization: `Bearer ${ADMIN}` } });
      expect(response.status).toBe(503);
      expect(response.headers.get("Retry-After")).toMatch(/^\d+$/);
      expect(response.headers.get("Content-Type")).toBe("application/problem+json");
      expect(await response.text()).not.toMatch(/no such table|SELECT/);
      const lines = await until(runtime.lines, (found) => found.length > 0);
      expect(lines).toEqual([expect.stringContaining('"event":"database.not_migrated"')]);
    },
  );

  it("fails a sweep, so that the platform records it, and is logged once", async () => {
    runtime.clearLines();
    expect(await runtime.trigger(Date.now())).toBe(false);
    const lines = await until(runtime.lines, (found) => found.length > 0);
    expect(lines[0]).toContain('"event":"sweep.failed"');
  });
});
