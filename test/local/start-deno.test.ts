import { describe, expect, it } from "vitest";
import { commandOf, launch, start, stopRunsAfterAll } from "../support/local-run.ts";
import { until } from "../support/worker.ts";

stopRunsAfterAll();

describe("npm run start:deno", () => {
  it("serves the demo, sweeps, stops on SIGTERM, and keeps its state across a restart", async () => {
    const run = await (await start({ SWEEP_SECONDS: 2 }, "start:deno")).ready();
    expect(run.output.stdout).toContain(`is ready on ${run.origin}\n`);
    expect(run.errorLines()).toEqual([]);
    const first = await run.exposures("checkout-cta");
    expect(first.exposures.total_identities).toBeGreaterThan(1000);
    await until(
      () => run.exposures("checkout-cta"),
      ({ as_of }) => as_of > first.as_of,
    );
    const kept = await run.experiments();
    expect(kept).toHaveLength(3);
    run.signal("SIGTERM", "npm");
    await run.waitForExit();

    const restarted = await launch({ ...run.env, SWEEP_SECONDS: 0 }, "start:deno").ready();
    expect(await restarted.experiments()).toEqual(kept);
    expect((await fetch(`${restarted.origin}/cdn-cgi/local/scheduled`)).status).toBe(200);
    restarted.signal("SIGINT", "npm");
    await restarted.waitForExit();
    expect(restarted.errorLines()).toEqual([]);
  });

  it("reports in one line why it can't start, and leaves no process behind", async () => {
    const run = await start({ QUERY_TIMEOUT_SECONDS: "soon" }, "start:deno");
    expect(await run.outcome()).toBe(1);
    expect(run.errorLines()).toEqual([expect.stringMatching(/^edge-exposures can't start: QUERY_TIMEOUT_SECONDS/)]);
    await run.waitForExit();
  });

  it("exits with one line when Deno exits", async () => {
    const run = await (await start({ DEMO: 0, SWEEP_SECONDS: 1 }, "start:deno")).ready();
    const deno = run.runningProcesses().find((process) => commandOf(process).startsWith("deno serve"));
    process.kill(deno?.pid ?? Number.NaN, "SIGKILL");
    await run.waitForExit();
    expect(run.exitCode()).toBe(1);
    expect(run.errorLines()).toEqual(["edge-exposures can't continue: Deno exited with SIGKILL."]);
  });
});
