import { defineConfig } from "vitest/config";
import { LongestFirst } from "./support/longest-first.ts";

const shared = {
  root: ".",
  // Node 24 has Uint8Array.prototype.toHex behind a flag; workerd and Deno have it.
  execArgv: ["--js-base-64"],
  // Only ends what hangs: a busy machine may take ten times as long as a quiet one.
  testTimeout: 600_000,
  hookTimeout: 600_000,
  // Tests that run at once wait for deadlines most of the time.
  maxConcurrency: 6,
  expect: { poll: { timeout: 120_000, interval: 100 } },
};
const engine = "test/support/warehouse-setup.ts";
const bundle = "test/support/worker-setup.ts";

const inRuntimes = ["test/{app,worker}/*.test.ts"];
const onEngine = [
  "test/{browser,dev,docs,local,warehouse}/*.test.ts",
  "test/deno/{locked,serve,service}.test.ts",
  "test/http/webhook-times.test.ts",
  "test/refresh/{clock,final-numbers,longest-windows,results,sweep-times,window-edges}.test.ts",
  "test/store/migrated-rows.test.ts",
];

export default defineConfig({
  test: {
    // Twice the cores of a small machine: many tests wait for a deadline, not for the processor.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    projects: [
      // What is in test/app runs twice, once in each runtime. Files share a process, to load Miniflare once.
      {
        test: {
          ...shared,
          name: "workerd",
          include: inRuntimes,
          isolate: false,
          globalSetup: [engine, bundle],
          provide: { runtime: "workerd" },
        },
      },
      {
        test: {
          ...shared,
          name: "deno",
          include: ["test/app/*.test.ts"],
          isolate: false,
          globalSetup: engine,
          provide: { runtime: "deno" },
        },
      },
      { test: { ...shared, name: "engine", include: onEngine, isolate: false, globalSetup: [engine, bundle] } },
      // Needs no process but its own.
      {
        test: {
          ...shared,
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: [...inRuntimes, ...onEngine],
          isolate: false,
        },
      },
    ],
  },
});
