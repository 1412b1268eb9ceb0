import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { convertV4MiniflareOptions, Miniflare, NoOpLog } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import type { Sizes } from "./bench-sizes.ts";
import { type Candidate, compare, type Figure, timed } from "./turns.ts";

// The size of the deployed bundle, its parts, and the time it takes to start.

const KIB = 1024;
/** The limit of the gzipped bundle. */
const MAX_KIB = 150;
/** The limit of the time from start to first answer, compared with a constant Worker's. */
const MAX_START_RATIO = 1.3;

/** The Durable Object classes that wrangler.toml names. */
const CLASSES = `import { DurableObject } from "cloudflare:workers";
export class RefreshCoordinator extends DurableObject {}
export class Dispatcher extends DurableObject {}
export class Alerter extends DurableObject {}`;

const HELLO = `${CLASSES}
import { Hono } from "hono";
const app = new Hono();
app.get("/healthz", (c) => c.json({ status: "ok" }));
export default app;`;

const CONSTANT = `${CLASSES}
export default { fetch: () => new Response("ok") };`;

export async function measure({ turns }: Sizes): Promise<Figure[]> {
  // Inside the project, so that imports are resolved.
  mkdirSync("dist", { recursive: true });
  const folder = mkdtempSync(join("dist", "bundle-"));
  try {
    const ours = await build("src/worker.ts", folder);
    const entry = join(folder, "hello.ts");
    writeFileSync(entry, HELLO);
    const hello = await build(entry, folder);
    console.log(ours.parts.map(([part, bytes]) => `${(bytes / KIB).toFixed(1).padStart(8)} KiB ${part}`).join("\n"));
    const [size, helloSize] = [gzippedKib(ours.code), gzippedKib(hello.code)];
    const figureOf = (against: string, reference: number, goal: Figure["goal"]): Figure => {
      const ratio = size / reference;
      return {
        what: "the bundle, gzipped",
        against,
        unit: "KiB",
        ours: size,
        reference,
        ratio,
        range: [ratio, ratio],
        turns: 1,
        goal,
      };
    };
    return [
      figureOf("its limit", MAX_KIB, { bound: "max", ratio: 1 }),
      figureOf("a Hono hello world", helloSize, null),
      await compare(starting("from start to first answer", ours.code), starting("a constant", CONSTANT), turns, {
        unit: "ms",
        goal: { bound: "max", ratio: MAX_START_RATIO },
      }),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Metafile = { outputs: Record<string, { inputs: Record<string, { bytesInOutput: number }> }> };

/** Builds an entry as it is deployed. Returns its code, and the bytes of each package and source folder before gzip. */
async function build(entry: string, folder: string): Promise<{ code: string; parts: [part: string, bytes: number][] }> {
  const metafile = join(folder, "meta.json");
  const args = ["deploy", entry, "--dry-run", "--outdir", folder, "--metafile", metafile];
  await promisify(execFile)("wrangler", args, { env: { ...process.env, WRANGLER_SEND_METRICS: "false" } });
  const { outputs }: Metafile = JSON.parse(readFileSync(metafile, "utf8"));
  const bytes = new Map<string, number>();
  for (const { inputs } of Object.values(outputs))
    for (const [input, { bytesInOutput }] of Object.entries(inputs)) {
      const part = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? /src\/[^/]+/.exec(input)?.[0] ?? "other";
      bytes.set(part, (bytes.get(part) ?? 0) + bytesInOutput);
    }
  const name = entry.replace(/.*\//, "").replace(/\.ts$/, ".js");
  return { code: readFileSync(join(folder, name), "utf8"), parts: [...bytes].sort((a, b) => b[1] - a[1]) };
}

function gzippedKib(code: string): number {
  return gzipSync(code, { level: 9 }).byteLength / KIB;
}

/** The time from the start of a new workerd process to its first response. */
function starting(name: string, code: string): Candidate {
  const { workerOptions } = unstable_getMiniflareWorkerOptions("wrangler.toml");
  const modules = [{ type: "ESModule" as const, path: "worker.js", contents: code }];
  async function measure(): Promise<number> {
    const state = mkdtempSync(join(tmpdir(), "edge-exposures-start-"));
    const options = convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      log: new NoOpLog(),
      resourcePersistencePath: state,
      workers: [{ ...workerOptions, name: "edge-exposures", modules }],
    });
    let miniflare: Miniflare | undefined;
    try {
      return await timed(async () => {
        miniflare = new Miniflare(options);
        const response = await fetch(new URL("/healthz", await miniflare.ready));
        await response.text();
        if (!response.ok) throw new Error(`${name}: ${response.status}`);
      });
    } finally {
      await miniflare?.dispose();
      rmSync(state, { recursive: true, force: true });
    }
  }
  return { name, measure };
}
