import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Only what runs in this process: a mutant must be judged in a second, without an engine or a runtime to start.
    include: [
      "test/experiment.test.ts",
      "test/settings.test.ts",
      "test/deno/timer-alarm.test.ts",
      "test/exposures/*.test.ts",
      "test/{backoff,ttl-cache}.test.ts",
      "test/http/{api-key-format,authentication,callers,failed-attempts,responses,schemas,webhook-signatures}.test.ts",
      "test/refresh/{coordinator,sweep}.test.ts",
      "test/warehouse/failure.test.ts",
    ],
  },
});
