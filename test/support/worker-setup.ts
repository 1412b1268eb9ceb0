import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import type { TestProject } from "vitest/node";
import { openD1 } from "../../src/cloudflare/d1.ts";
import { readMigrations } from "../../src/deno/read-migrations.ts";
import { buildWorker, type WorkerOptions } from "../../src/dev/build-worker.ts";
import { migrate } from "../../src/store/migrations.ts";

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
  const { script, options } = await buildWorker();
  const vars = { ...Object(options["bindings"]) };
  const state = join(folder, "state");
  const modules = [{ type: "ESModule" as const, path: "worker.js", contents: readFileSync(script, "utf8") }];
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      log: new NoOpLog(),
      resourcePersistencePath: state,
      workers: [{ ...options, name: "edge-exposures", modules }],
    }),
  );
  await migrate(openD1(await miniflare.getD1Database("DB")), readMigrations("migrations/d1"));
  await miniflare.dispose();
  project.provide("worker", { script, options, vars, state });
  return () => rmSync(folder, { recursive: true });
}
