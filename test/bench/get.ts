import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import autocannon from "autocannon";
import { startDeno } from "../../src/dev/local-deno.ts";
import { type Stoppable, startWorker } from "../../src/dev/local-worker.ts";
import { freePort } from "../support/free-port.ts";
import type { Sizes } from "./bench-sizes.ts";
import { ADMIN, callAs, exposuresOf, fill } from "./filled.ts";
import { copyOf, type References, startDenoReferences, startWorkerReferences } from "./get-references.ts";
import { type Candidate, compare, type Figure } from "./turns.ts";

// How fast the exposures of one experiment are served in both runtimes, compared with minimal servers.

const CONNECTIONS = 50;
const FEW_CONNECTIONS = 16;
const MIN_WARM_RATIO = 0.95;
const MIN_COLD_RATIO = 0.9;
const MAX_P99_RATIO = 1.3;

type Bindings = Record<string, string>;
type Platform = {
  name: string;
  start(folder: string, bindings: Bindings, onStarted: (part: Stoppable) => void): Promise<URL>;
  startReferences: typeof startWorkerReferences;
};

const PLATFORMS: Platform[] = [
  {
    name: "workerd",
    start: async (folder, bindings, onStarted) =>
      (await startWorker(folder, 0, bindings, onStarted, () => undefined)).url,
    startReferences: startWorkerReferences,
  },
  {
    name: "Deno",
    start: async (folder, bindings, onStarted) => {
      const started = await startDeno(folder, await freePort(), bindings, onStarted);
      if (!started.ok) throw new Error(started.failure);
      return started.value.url;
    },
    startReferences: startDenoReferences,
  },
];

export async function measure(sizes: Sizes): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const platform of PLATFORMS) figures.push(...(await measureOn(platform, sizes)));
  return figures;
}

async function measureOn(platform: Platform, sizes: Sizes): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-get-"));
  const stops: Stoppable[] = [];
  const start = async (name: string, bindings: Bindings) => {
    const parts: Stoppable[] = [];
    // Nothing here refreshes, so the warehouse is never queried.
    const all = { ADMIN_TOKEN: ADMIN, CLICKHOUSE_URL: "http://127.0.0.1:1", ...bindings };
    const url = await platform.start(join(folder, name), all, (part) => parts.push(part));
    stops.push(...parts.slice(-1));
    await fill(url, 1, 1);
    return url;
  };
  try {
    const warm = await start("warm", {});
    // Without a cache, each request misses.
    const cold = await start("cold", { CACHE_SECONDS: "0" });
    const references = await platform.startReferences(folder, await copyOf(warm), (part) => stops.push(part));
    return await compareAll(platform.name, warm, cold, references, sizes);
  } finally {
    for (const part of stops.reverse()) await part.stop();
    rmSync(folder, { recursive: true });
  }
}

async function compareAll(
  runtime: string,
  warm: URL,
  cold: URL,
  references: References,
  { turns, seconds }: Sizes,
): Promise<Figure[]> {
  const body = JSON.stringify({ name: "benchmark", role: "read" });
  const { key }: { key: string } = await (await callAs(ADMIN, warm, "POST", "/v1/api-keys", body)).json();
  const { etag } = references;
  const load = (url: URL, headers: Record<string, string> = {}, token = ADMIN, connections = CONNECTIONS) =>
    candidateOf(url, { Authorization: `Bearer ${token}`, ...headers }, { seconds, connections });
  const loadLess = (url: URL) => load(url, {}, ADMIN, FEW_CONNECTIONS);
  const rate = (what: string, ours: Load, against: string, reference: Load, ratio: number | null) =>
    compare(ours.rate(`${runtime}: ${what}`), reference.rate(against), turns, {
      unit: "requests/s",
      goal: ratio === null ? null : { bound: "min", ratio },
    });

  const figures: Figure[] = [];
  const [withToken, constant] = [load(warm), load(references.constant)];
  figures.push(await rate("warm, with a token", withToken, "a constant", constant, MIN_WARM_RATIO));
  figures.push(
    await compare(withToken.p99(`${runtime}: warm, p99`), constant.p99("a constant"), turns, {
      unit: "ms",
      goal: { bound: "max", ratio: MAX_P99_RATIO },
    }),
  );
  figures.push(
    await rate(
      `warm, ${FEW_CONNECTIONS} connections`,
      loadLess(warm),
      "a constant",
      loadLess(references.constant),
      MIN_WARM_RATIO,
    ),
  );
  figures.push(
    await rate("warm, with an API key", load(warm, {}, key), "a constant", load(references.constant), MIN_WARM_RATIO),
  );
  const unchanged = load(warm, { "If-None-Match": etag });
  figures.push(await rate("warm, 304", unchanged, "a constant 304", load(references.unchanged), MIN_WARM_RATIO));
  for (const [against, { url, hasGoal }] of Object.entries(references.rows))
    figures.push(await rate("cold", load(cold), against, load(url), hasGoal ? MIN_COLD_RATIO : null));
  return figures;
}

type Load = ReturnType<typeof candidateOf>;

/** Sends requests as fast as they are answered. `p99` returns the latencies of the runs that `rate` made. */
function candidateOf(
  url: URL,
  headers: Record<string, string>,
  { seconds, connections }: { seconds: number; connections: number },
) {
  const latencies: number[] = [];
  const rate = (name: string): Candidate => ({
    name,
    measure: async () => {
      const target = new URL(exposuresOf(0), url).href;
      const run = await autocannon({ url: target, headers, connections, duration: seconds, workers: 1 });
      const failed = run.errors + run.timeouts + run["4xx"] + run["5xx"];
      if (failed > 0) throw new Error(`${name}: ${failed} of ${run.requests.total} requests failed`);
      latencies.push(run.latency.p99);
      return run.requests.average;
    },
  });
  const p99 = (name: string): Candidate => ({ name, measure: async () => latencies.shift() ?? Number.NaN });
  return { rate, p99 };
}
