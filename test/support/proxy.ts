import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { WarehouseSettings } from "../../src/settings.ts";

/** What the proxy does with a query instead of just passing it on. */
export type Fault = (answer: { body: string; status: number; headers: Headers }, response: ServerResponse) => void;

type Query = {
  number: number;
  /** True if whoever had asked hung up: its deadline was over, or it was killed. */
  abandoned: boolean;
};

/** A proxy before the warehouse that watches, holds and spoils its queries. */
export async function startProxy(warehouse: WarehouseSettings) {
  /** By feature, or for all under the empty text. */
  const spoiled = new Map<string, Fault>();
  let gate: { opened: Promise<void>; open: () => void } | null = null;
  const state = {
    /** Queries so far, now, and at most so many at once: in all, and for each feature. */
    queries: 0,
    underWay: 0,
    mostAtOnce: 0,
    mostAtOnceByFeature: new Map<string, number>(),
    /** How many wait at the closed gate. */
    waiting: 0,
  };
  /** Every pair of queries of one feature that were under way at the same time. */
  const overlaps: { feature: string; first: Query; second: Query }[] = [];
  const underWayByFeature = new Map<string, Set<Query>>();

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "/", warehouse.url);
    const feature = url.searchParams.get("param_feature_name") ?? "";
    const body = Buffer.concat(await Array.fromAsync<Buffer>(request));
    state.queries += 1;
    state.underWay += 1;
    const query = { number: state.queries, abandoned: false };
    const own = underWayByFeature.get(feature) ?? new Set();
    underWayByFeature.set(feature, own);
    for (const first of own) overlaps.push({ feature, first, second: query });
    own.add(query);
    const judge = () => {
      query.abandoned ||= request.socket.readableEnded || request.socket.errored !== null;
    };
    state.mostAtOnce = Math.max(state.mostAtOnce, state.underWay);
    state.mostAtOnceByFeature.set(feature, Math.max(state.mostAtOnceByFeature.get(feature) ?? 0, own.size));
    response.on("close", () => {
      state.underWay -= 1;
      own.delete(query);
      // Again a little later: an answer may have crossed the asker's hanging up.
      judge();
      setTimeout(judge, 100);
    });
    if (gate !== null) {
      state.waiting += 1;
      await gate.opened;
      state.waiting -= 1;
    }
    const upstream = await fetch(url, {
      method: "POST",
      headers: { authorization: request.headers.authorization ?? "" },
      body,
    });
    const answer = { body: await upstream.text(), status: upstream.status, headers: upstream.headers };
    const fault = spoiled.get(feature) ?? spoiled.get("") ?? asItIs;
    fault(answer, response);
  });
  const listen = (at: number) => new Promise<void>((resolve) => server.listen(at, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;

  return {
    settings: { ...warehouse, url: new URL(`http://127.0.0.1:${port}`) },
    state,
    overlaps,
    /** From now on answers like this; null: as they are. */
    spoil(fault: Fault | null, feature = "") {
      if (fault === null) spoiled.delete(feature);
      else spoiled.set(feature, fault);
    },
    /** Holds every query that comes until the gate is opened. */
    closeGate() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = { opened: promise, open: resolve };
    },
    openGate() {
      gate?.open();
      gate = null;
    },
    /** Refuses connections until it is told to accept them again. */
    refuse() {
      server.close();
    },
    accept: () => listen(port),
    reset() {
      state.queries = 0;
      state.mostAtOnce = 0;
      state.mostAtOnceByFeature.clear();
    },
    stop() {
      gate?.open();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** No fault: what the warehouse said. */
export const asItIs: Fault = ({ body, status, headers }, response) => {
  const code = headers.get("x-clickhouse-exception-code");
  response.writeHead(status, code === null ? {} : { "X-ClickHouse-Exception-Code": code });
  response.end(body);
};

export type WarehouseProxy = Awaited<ReturnType<typeof startProxy>>;

/** Every way to break an answer that the product must survive. */
export const faults = {
  reset: (_, response) => response.destroy(),
  "hanging before the headers": () => undefined,
  "hanging inside the body": ({ body }, response) => {
    response.writeHead(200);
    response.write(body.slice(0, body.length / 2));
  },
  "cut inside the body": ({ body }, response) => {
    response.writeHead(200, { "Content-Length": body.length + 10 });
    response.write(body.slice(0, body.length / 2), () => response.destroy());
  },
  "truncated JSON": ({ body }, response) => {
    response.end(body.slice(0, -20));
  },
  "status 500": (_, response) => {
    response.writeHead(500);
    response.end("Internal Server Error");
  },
  "HTML from a proxy, as a 502": (_, response) => {
    response.writeHead(502, { "Content-Type": "text/html" });
    response.end("<html><body>Bad Gateway</body></html>");
  },
  "HTML from a proxy, as a 200": (_, response) => {
    response.writeHead(200, { "Content-Type": "text/html" });
    response.end("<html><body>Please sign in</body></html>");
  },
  "too many queries": (_, response) => {
    response.writeHead(500, { "X-ClickHouse-Exception-Code": "202" });
    response.end("Code: 202. DB::Exception: Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)");
  },
  "an exception inside a 200, as a key": (_, response) => {
    response.end(
      '{"meta":[],"data":[],"rows":0,"exception":"Code: 241. DB::Exception: Memory. (MEMORY_LIMIT_EXCEEDED)"}',
    );
  },
  "an exception inside a 200, after the data": ({ body }, response) => {
    response.end(`${body.slice(0, -30)}\nCode: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE) (version 26.7)`);
  },
  "a negative count": respondWith({ identities: -1 }),
  "an unsafe count": respondWith({ identities: 2 ** 53 }),
  "a count as text": respondWith({ identities: "7" }),
  "a bucket outside the window": respondWith(
    { kind: "identities", variant_hash: "1", at: 3_600_000 },
    { kind: "variant", name: "a", variant_hash: "1", identities: 0 },
  ),
  "rows of another shape": (_, response) => {
    response.end('{"data":[{"one":1}],"rows":1}');
  },
  "fewer rows than it says": (_, response) => {
    response.end('{"data":[],"rows":1}');
  },
} satisfies Record<string, Fault>;

/** A response with these rows of the exposures query. Each is valid but for what it says. */
export function respondWith(...rows: Record<string, unknown>[]): Fault {
  const valid = { kind: "multiple", name: "", variant_hash: "0", at: 0, identities: 1, late: 0, events: 1 };
  const data = rows.map((row) => ({ ...valid, ...row }));
  return (_, response) => response.end(JSON.stringify({ data, rows: data.length }));
}
