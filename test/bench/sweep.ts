import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { Stoppable } from "../../src/dev/local-worker.ts";
import { DAY } from "../../src/exposures/buckets.ts";
import type { Sizes } from "./bench-sizes.ts";
import { exposuresOf, memoryOf, startFilled } from "./filled.ts";
import { compare, type Figure, timed } from "./turns.ts";

// A sweep of running experiments against a warehouse that answers each query in 5 ms.

const RESPONSE_MS = 5;
const CONCURRENCY = Number(process.env["QUERY_CONCURRENCY"] ?? 6);

export async function measure({ turns, experiments }: Sizes): Promise<Figure[]> {
  const started: Stoppable[] = [];
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-sweep-"));
  try {
    const stub = await startStub();
    started.push(stub);
    const bindings = { CLICKHOUSE_URL: stub.url.href, QUERY_CONCURRENCY: String(CONCURRENCY) };
    const ours = await startFilled(folder, bindings, { experiments, running: experiments });
    started.push(ours);
    const reference = await startReference(stub.url, experiments);
    started.push(reference);

    const memory: number[] = [];
    let maxInFlight = 0;
    let queries = Number.POSITIVE_INFINITY;
    const sweep = async () => {
      stub.reset();
      const ms = await timed(ours.sweep);
      queries = Math.min(queries, stub.state.queries);
      maxInFlight = Math.max(maxInFlight, stub.state.maxInFlight);
      memory.push(await memoryOf(ours.pid));
      return ms;
    };
    const time = await compare(
      { name: `sweep of ${experiments}, ${CONCURRENCY} at once`, measure: sweep },
      { name: "a Worker that makes as many requests", measure: reference.run },
      turns,
      { unit: "ms", goal: null },
    );
    const exposures: { last_error_at: string | null } = await (await ours.call("GET", exposuresOf(0))).json();
    if (exposures.last_error_at !== null)
      throw new Error("The refreshes failed. Compare the rows of the stub with the query's.");
    const rate = (count: number, ms: number) => (1000 * count) / ms;
    const [halfway = Number.NaN, end = Number.NaN] = [memory[Math.ceil(memory.length / 2) - 1], memory.at(-1)];
    const figure = { turns, range: [1, 1] as [number, number], goal: null };
    return [
      time,
      {
        ...time,
        what: "its queries",
        unit: "requests/s",
        ours: rate(queries, time.ours),
        reference: rate(experiments, time.reference),
        ratio: 1 / time.ratio,
        range: [1 / time.range[1], 1 / time.range[0]],
      },
      {
        ...figure,
        what: "its queries, at least",
        against: "running experiments",
        unit: "queries",
        ours: queries,
        reference: experiments,
        ratio: queries / experiments,
        goal: { bound: "min", ratio: 1 },
      },
      {
        ...figure,
        what: "its load on the warehouse, at most",
        against: "QUERY_CONCURRENCY",
        unit: "at once",
        ours: maxInFlight,
        reference: CONCURRENCY,
        ratio: maxInFlight / CONCURRENCY,
        goal: { bound: "max", ratio: 1 },
      },
      {
        ...figure,
        what: `workerd's memory after ${memory.length} sweeps`,
        against: "after half as many",
        unit: "MiB",
        ours: end,
        reference: halfway,
        ratio: end / halfway,
      },
    ];
  } finally {
    for (const part of started.reverse()) await part.stop();
    rmSync(folder, { recursive: true });
  }
}

/** A warehouse that returns the same 40 rows for every query, after a delay. */
export async function startStub() {
  const state = { queries: 0, inFlight: 0, maxInFlight: 0 };
  const first = Math.floor((Date.now() - 20 * DAY) / DAY) * DAY;
  const variants = ["control", "treatment"];
  const row = { kind: "identities", name: "", at: 0, identities: 0, late: 0, events: 0 };
  const data = variants.flatMap((variant, index) => [
    { ...row, kind: "variant", name: variant, variant_hash: String(index) },
    ...Array.from({ length: 19 }, (_, day) => ({
      ...row,
      variant_hash: String(index),
      at: first + day * DAY,
      identities: 1000 + day,
    })),
  ]);
  const body = JSON.stringify({ data, rows: data.length });
  const server = createServer((request, response) => {
    state.queries += 1;
    state.inFlight += 1;
    state.maxInFlight = Math.max(state.maxInFlight, state.inFlight);
    request.resume().on("end", () =>
      setTimeout(() => {
        state.inFlight -= 1;
        response.writeHead(200, { "Content-Type": "application/json" }).end(body);
      }, RESPONSE_MS),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    state,
    reset: () => Object.assign(state, { queries: 0, maxInFlight: 0 }),
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A Worker that sends the stub as many requests as the sweep, with the same concurrency, and does nothing else. */
async function startReference(stub: URL, requests: number) {
  const script = `export default {
    async fetch() {
      let remaining = ${requests};
      const sendAll = async () => {
        while (remaining > 0) {
          remaining -= 1;
          await (await fetch("${stub.href}", { method: "POST", body: "SELECT 1" })).text();
        }
      };
      await Promise.all(Array.from({ length: ${CONCURRENCY} }, sendAll));
      return new Response();
    },
  };`;
  const miniflare = new Miniflare(convertV4MiniflareOptions({ cf: false, modules: true, script }));
  const url = await miniflare.ready;
  return {
    run: () => timed(async () => (await fetch(url)).arrayBuffer()),
    stop: () => miniflare.dispose(),
  };
}
