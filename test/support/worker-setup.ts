import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";
import { unstable_getMiniflareWorkerOptions } from "wrangler";

type WorkerOptions = ReturnType<typeof unstable_getMiniflareWorkerOptions>["workerOptions"];

declare module "vitest" {
  interface ProvidedContext {
    /** The path of the bundle, and what wrangler.toml says. */
    worker: { script: string; options: WorkerOptions; vars: Record<string, string | number | boolean> };
  }
}

/** Builds the Worker once for all test files, as wrangler deploys it. */
export default async function setup(project: TestProject) {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-worker-"));
  await promisify(execFile)("wrangler", ["deploy", "--dry-run", "--outdir", folder], {
    env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
  });
  const { workerOptions } = unstable_getMiniflareWorkerOptions("wrangler.toml");
  const vars = { ...Object(workerOptions["bindings"]) };
  project.provide("worker", { script: join(folder, "worker.js"), options: workerOptions, vars });
  return () => rmSync(folder, { recursive: true });
}
