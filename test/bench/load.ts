import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import autocannon from "autocannon";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { prepareWarehouse, startWarehouse } from "../../src/dev/local-warehouse.ts";
import type { Stoppable } from "../../src/dev/local-worker.ts";
import { ADMIN, exposuresOf, type Filled, idOf, memoryOf, newWorkerd, processes, startFilled } from "./filled.ts";

// `npm run load`: the Worker as it is deployed, in bare Miniflare, under as much load as it can serve. See README.md.

const { values: options } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, experiments: { type: "string", default: "10000" } },
});
const SECONDS = Number(options.seconds);
const FEW = 100;
const MANY = Number(options.experiments);
/** The number of experiments that are due at each sweep, in both databases. */
const RUNNING = 50;

const started: Stoppable[] = [];
const folder = mkdtempSync(join(tmpdir(), "edge-exposures-load-"));
try {
  await run();
} finally {
  for (const part of started.reverse()) await part.stop();
  rmSync(folder, { recursive: true });
}

async function run(): Promise<void> {
  const user = { name: "default", password: "", readonly: 0 as const };
  const warehouse = await startWarehouse({ folder: join(folder, "warehouse"), port: 0, users: [user] });
  if (!warehouse.ok) throw new Error(warehouse.failure);
  started.push(warehouse.value);
  const settings = { database: "default", user: user.name, password: "", table: "events", queryTimeoutMs: 30_000 };
  await prepareWarehouse({ ...settings, url: warehouse.value.url });

  const bindings = { CLICKHOUSE_URL: warehouse.value.url.href };
  const few = await startFilled(join(folder, "few"), bindings, { experiments: FEW, running: RUNNING });
  started.push(few);
  const many = await startFilled(join(folder, "many"), bindings, { experiments: MANY, running: RUNNING });
  started.push(many);
  const result = {
    machine: `${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}`,
    saturation: await saturate(many),
    reference: await saturate(await startReference()),
    stampede: await stampede(few),
    growth: await compare(few, many),
  };
  mkdirSync("dist/bench", { recursive: true });
  writeFileSync("dist/bench/load.json", JSON.stringify(result, null, 2));
  console.log(JSON.stringify(result, null, 2));
}

type Loaded = { url: URL; pid: number; sweep?: () => Promise<void> };

/** A Worker that returns a constant. Effects that it shows too do not come from our code. */
async function startReference(): Promise<Loaded> {
  const before = new Set((await processes()).map(({ pid }) => pid));
  const script = `const body = "x".repeat(5000); export default { fetch: () => new Response(body) };`;
  const miniflare = new Miniflare(convertV4MiniflareOptions({ cf: false, modules: true, script }));
  started.push({ stop: () => miniflare.dispose() });
  const url = await miniflare.ready;
  return { url, pid: await newWorkerd(before) };
}

/** Sends requests as fast as they are answered, while sweeps follow one another if there are any. */
async function saturate({ url, pid, sweep }: Loaded) {
  let isLoading = true;
  let sweeps = 0;
  const sweeping = (async () => {
    while (isLoading && sweep !== undefined) {
      await sweep();
      sweeps += 1;
    }
  })();
  const memory: number[] = [];
  const sampler = setInterval(async () => memory.push(await memoryOf(pid)), 1000);
  const load = await autocannon({
    url: new URL(exposuresOf(0), url).href,
    headers: { Authorization: `Bearer ${ADMIN}` },
    connections: 50,
    duration: SECONDS,
  });
  isLoading = false;
  clearInterval(sampler);
  await sweeping;
  const tenth = Math.ceil(memory.length / 10);
  return {
    seconds: SECONDS,
    requests: load.requests.total,
    requests_per_second: Math.round(load.requests.average),
    errors: load.errors + load.timeouts + load.non2xx,
    latency_ms: { p50: load.latency.p50, p99: load.latency.p99, max: load.latency.max },
    sweeps_meanwhile: sweeps,
    /** The median of each tenth of the run. */
    workerd_mib: Array.from({ length: 10 }, (_, part) => median(memory.slice(part * tenth, (part + 1) * tenth))),
  };
}

/** Many clients request an experiment at once that has never been requested before. */
async function stampede({ call }: Filled) {
  const path = exposuresOf(1);
  const start = performance.now();
  const bodies = await Promise.all(Array.from({ length: 500 }, async () => (await call("GET", path)).text()));
  return { callers: bodies.length, different_answers: new Set(bodies).size, ms: Math.round(performance.now() - start) };
}

/** Measures the same calls alternately on both databases. */
async function compare(few: Filled, many: Filled) {
  const calls: Record<string, (on: Filled) => Promise<unknown>> = {
    "GET exposures": ({ call }) => call("GET", exposuresOf(2)).then(textOf),
    "GET an experiment": ({ call }) => call("GET", `/v1/experiments/${idOf(2)}`).then(textOf),
    list: ({ call }) => call("GET", "/v1/experiments").then(textOf),
    "list, a late page": ({ call }) => call("GET", `/v1/experiments?cursor=${idOf(49)}`).then(textOf),
    "list, running": ({ call }) => call("GET", "/v1/experiments?status=running&limit=5").then(textOf),
    "list, draft (none)": ({ call }) => call("GET", "/v1/experiments?status=draft").then(textOf),
    "list, one environment, running": ({ call }) =>
      call("GET", "/v1/experiments?environment_key=env-0&status=running&limit=2").then(textOf),
    [`sweep of ${RUNNING}`]: ({ sweep }) => sweep(),
  };
  const rows = [];
  for (const [what, call] of Object.entries(calls)) {
    const times: { few: number[]; many: number[] } = { few: [], many: [] };
    const rounds = what.startsWith("sweep") ? 7 : 200;
    for (let round = 0; round < rounds; round += 1) {
      for (const [on, into] of [
        [few, times.few],
        [many, times.many],
      ] as const) {
        const start = performance.now();
        await call(on);
        into.push(performance.now() - start);
      }
    }
    const [a, b] = [median(times.few), median(times.many)];
    rows.push({ what, [`ms_at_${FEW}`]: round(a), [`ms_at_${MANY}`]: round(b), ratio: round(b / a) });
  }
  return rows;
}

function textOf(response: Response): Promise<string> {
  return response.text();
}

function round(value: number): number {
  return Number(value.toFixed(2));
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
