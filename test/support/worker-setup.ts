import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { buildWorker } from "../../src/dev/build-worker.ts";
import { migrateD1, type WorkerOptions } from "../../src/dev/local-d1.ts";

declare module "vitest" {
  interface ProvidedContext {
    worker: {
      /** The path of the bundle. */
      script: string;
      /** The options from wrangler.toml. */
      options: WorkerOptions;
      vars: Record<string, string | number | boolean>;
      /** A folder with a migrated D1, which each runtime copies. */
      state: string;
    };
  }
}

/** Builds the Worker as wrangler deploys it and migrates a D1, once for all test files. */
export default async function setup(project: TestProject) {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-worker-"));
  const { script, options, emptyD1 } = await buildWorker();
  const vars = { ...Object(options["bindings"]) };
  const state = join(folder, "state");
  mkdirSync(state);
  await migrateD1(state, emptyD1);
  project.provide("worker", { script, options, vars, state });
  return () => rmSync(folder, { recursive: true });
}
