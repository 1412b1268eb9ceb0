import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Only what runs in this process: a mutant must be judged in a second, without an engine or a runtime to start.
    include: [
      "test/experiment.test.ts",
      "test/settings.test.ts",
      "test/deno/timer-alarm.test.ts",
      "test/exposures/*.test.ts",
      "test/http/{answers,api-key,callers,guard,schemas,short-memory,sign-in,signatures}.test.ts",
      "test/refresh/{backoff,coordinator,sweep}.test.ts",
      "test/warehouse/failure.test.ts",
    ],
  },
});
