import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Node 24 has Uint8Array.prototype.toHex behind a flag; workerd and Deno have it.
    execArgv: ["--js-base-64"],
    // A busy machine may take ten times as long as a quiet one. Stryker has its own limit for a mutant.
    testTimeout: 60_000,
    // Only tests that start no engine and no runtime, so that a mutant takes about a second.
    include: [
      "test/experiment.test.ts",
      "test/format.test.ts",
      "test/settings.test.ts",
      "test/settings-docs.test.ts",
      "test/deno/timer-alarm.test.ts",
      "test/{alerts,exposures,results}/*.test.ts",
      "test/panel/{chart,chart-axes,chart-heading,interval-axis,results-chart,results-layout}.test.ts",
      "test/panel/{csv,pace,parse-exposures,share-link,sparkline}.test.ts",
      "test/{backoff,setting-types,standard-webhooks,ttl-cache,with-timeout}.test.ts",
      "test/http/{api-key-format,authentication,callers,failed-attempts,responses,schemas}.test.ts",
      "test/flagsmith/{mapping,plan,sync,webhook}.test.ts",
      "test/refresh/{coordinator,dispatcher,keep-numbers,sweep}.test.ts",
      "test/warehouse/failure.test.ts",
    ],
  },
});
