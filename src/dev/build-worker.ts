import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createEmptyD1, type WorkerOptions } from "./local-d1.ts";

/** The Worker as wrangler deploys it. */
export type Build = {
  /** The path of the bundle. */
  script: string;
  /** The options from wrangler.toml, for Miniflare. */
  options: WorkerOptions;
  /** The folder of an empty D1. */
  emptyD1: string;
};

const CONFIG = "wrangler.toml";
/** Everything that a build depends on. The lock file stands for the packages. */
const INPUTS = ["src/**/*.*", "tsconfig.json", CONFIG, "package-lock.json"];
const CACHE = "node_modules/.cache/edge-exposures";
const MAX_AGE_MS = 7 * 86_400_000;

/**
 * Builds the Worker with wrangler, or reuses a build of the same inputs. Wrangler takes seconds to load and to build.
 * @param cache the folder of the builds
 */
export async function buildWorker(cache = process.env["BUILD_CACHE_DIR"] ?? CACHE): Promise<Build> {
  const folder = join(cache, hashInputs());
  const script = join(folder, "worker.js");
  const emptyD1 = join(folder, "empty-d1");
  const optionsFile = join(folder, "options.json");
  try {
    return { script, options: JSON.parse(readFileSync(optionsFile, "utf8")), emptyD1 };
  } catch {
    // There is no such build yet.
  }
  mkdirSync(cache, { recursive: true });
  deleteOldBuilds(cache);
  // A build becomes visible as a whole, even if another process builds the same, or a signal ends this one.
  const unfinished = mkdtempSync(join(cache, "unfinished-"));
  try {
    const [{ unstable_getMiniflareWorkerOptions }] = await Promise.all([import("wrangler"), runWrangler(unfinished)]);
    const { workerOptions: options } = unstable_getMiniflareWorkerOptions(CONFIG);
    writeFileSync(join(unfinished, "options.json"), JSON.stringify(options));
    await createEmptyD1(join(unfinished, "empty-d1"), options);
    rmSync(folder, { recursive: true, force: true });
    renameSync(unfinished, folder);
    return { script, options, emptyD1 };
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

function hashInputs(): string {
  const hash = createHash("sha256");
  for (const path of globSync(INPUTS).sort()) hash.update(`${path}\0`).update(readFileSync(path)).update("\0");
  return hash.digest("hex").slice(0, 16);
}

function deleteOldBuilds(cache: string): void {
  for (const path of readdirSync(cache).map((name) => join(cache, name)))
    if (statSync(path).mtimeMs < Date.now() - MAX_AGE_MS) rmSync(path, { recursive: true, force: true });
}

async function runWrangler(outDir: string): Promise<void> {
  const building = promisify(execFile)("wrangler", ["deploy", "--dry-run", "--outdir", outDir], {
    env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
  });
  // Miniflare exits this process on a signal, so nothing else could kill the build.
  const kill = () => building.child.kill();
  process.once("exit", kill);
  await building.finally(() => process.off("exit", kill));
}
