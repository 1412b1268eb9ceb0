import { defineConfig } from "vitest/config";

const shared = {
  root: ".",
  globalSetup: "test/support/warehouse-setup.ts",
  // Node 24 has Uint8Array.prototype.toHex behind a flag; workerd and Deno have it.
  execArgv: ["--js-base-64"],
  testTimeout: 60_000,
  hookTimeout: 60_000,
};

export default defineConfig({
  test: {
    // One more than the cores of a small machine: many tests wait for a deadline, not for the processor.
    maxWorkers: 3,
    // What is in test/app runs twice, once in each runtime; the rest where it belongs.
    projects: [
      { test: { ...shared, name: "workerd", include: ["test/**/*.test.ts"], provide: { runtime: "workerd" } } },
      { test: { ...shared, name: "deno", include: ["test/app/*.test.ts"], provide: { runtime: "deno" } } },
    ],
  },
});
