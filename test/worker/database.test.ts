import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWarehouse } from "../support/warehouse.ts";
import { ADMIN, startWorkerd, until, varsFor } from "../support/worker.ts";

let runtime: Awaited<ReturnType<typeof startWorkerd>>;
beforeAll(async () => {
  runtime = await startWorkerd(varsFor((await createWarehouse()).settings));
  const { DB } = await runtime.worker.getEnv();
  await DB.prepare("ALTER TABLE experiments RENAME TO lost").run();
});
afterAll(() => runtime.stop());

describe("D1, when it fails", () => {
  it.each(["/v1/experiments", "/v1/experiments/some", "/v1/experiments/some/exposures"])(
    "makes GET %s a 503 that says when to try again, and one line of the log",
    async (path) => {
      runtime.clearLines();
      const answer = await runtime.fetch(path, { headers: { Authorization: `Bearer ${ADMIN}` } });
      expect(answer.status).toBe(503);
      expect(answer.headers.get("Retry-After")).toMatch(/^\d+$/);
      expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
      expect(await answer.text()).not.toMatch(/no such table|SELECT/);
      const lines = await until(runtime.lines, (found) => found.length > 0);
      expect(lines).toEqual([expect.stringContaining('"event":"database.unavailable"')]);
    },
  );

  it("makes a sweep fail, so that the platform shows it, and is one line of the log", async () => {
    runtime.clearLines();
    expect(await runtime.trigger(Date.now())).toBe(false);
    const lines = await until(runtime.lines, (found) => found.length > 0);
    expect(lines[0]).toContain('"event":"sweep.failed"');
  });
});
