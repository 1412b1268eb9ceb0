import { defineConfig } from "vitest/config";

const shared = { root: ".", testTimeout: 60_000, hookTimeout: 60_000 };
const engine = "test/support/warehouse-setup.ts";
const built = "test/support/worker-setup.ts";
/** Folders of tests that start processes. */
const inRuntimes = ["test/app/*.test.ts", "test/worker/*.test.ts"];
const onEngine = ["test/{warehouse,dev,local,panel}/*.test.ts", "test/deno/{locked,service}.test.ts"];

export default defineConfig({
  test: {
    // One more than the cores of a small machine: many tests wait for a deadline, not for the processor.
    maxWorkers: 3,
    projects: [
      { test: { ...shared, name: "engine", include: onEngine, globalSetup: engine } },
      // What is in test/app runs twice, once in each runtime.
      {
        test: {
          ...shared,
          name: "workerd",
          include: inRuntimes,
          globalSetup: [engine, built],
          provide: { runtime: "workerd" },
        },
      },
      {
        test: {
          ...shared,
          name: "deno",
          include: ["test/app/*.test.ts"],
          globalSetup: engine,
          provide: { runtime: "deno" },
        },
      },
      // Pure functions, and what runs on SQLite in memory.
      { test: { ...shared, name: "unit", include: ["test/**/*.test.ts"], exclude: [...inRuntimes, ...onEngine] } },
    ],
  },
});
