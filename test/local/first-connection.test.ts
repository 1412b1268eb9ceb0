import { expect, it } from "vitest";
import { onWarehouse, type Script, start, stopRunsAfterAll } from "../support/local-run.ts";
import { createWarehouse } from "../support/warehouse.ts";

stopRunsAfterAll();

const scripts: Script[] = ["start", "start:deno"];

it.each(scripts)("npm run %s answers 200 from the first accepted connection on", async (script) => {
  const run = await start(onWarehouse(await createWarehouse()), script);
  const outcomes = new Set<string>();
  const record = async (path: string) => {
    try {
      outcomes.add(`${path} ${(await run.call("GET", path)).status}`);
    } catch (error) {
      if (!isRefused(error)) outcomes.add(`${path} ${String(error)}`);
    }
  };
  let isReady = false;
  const ready = run.ready().finally(() => {
    isReady = true;
  });
  const recordAll = async () => {
    for (const path of ["/healthz", "/readyz", "/v1/experiments"]) await record(path);
  };
  while (!isReady) {
    await recordAll();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await ready;
  // Some of the requests before may have been refused.
  await recordAll();
  expect(outcomes).toEqual(new Set(["/healthz 200", "/readyz 200", "/v1/experiments 200"]));
});

/** Returns true if the connection was refused. */
function isRefused(error: unknown): boolean {
  return error instanceof Error && error.message.includes("ECONNREFUSED");
}
