import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { WarehouseSettings } from "../../src/settings.ts";
import { send } from "./http.ts";

/** Sends a response to a query, given the warehouse's own response. */
export type Fault = (upstream: { body: string; status: number; headers: Headers }, response: ServerResponse) => void;

type Query = {
  number: number;
  /** True if the client closed the connection, after a timeout or when it was killed. */
  aborted: boolean;
};

/** Starts a proxy for the warehouse that records queries, holds them and injects faults. */
export async function startProxy(warehouse: WarehouseSettings) {
  /** Faults by feature. The empty key applies to all other features. */
  const faultsByFeature = new Map<string, Fault>();
  let gate: { opened: Promise<void>; open: () => void } | null = null;
  const state = {
    /** The number of queries since the last reset. */
    queries: 0,
    inFlight: 0,
    /** The maximum number of queries in flight since the last reset. */
    maxConcurrent: 0,
    maxConcurrentByFeature: new Map<string, number>(),
    /** The number of queries held at the closed gate. */
    waiting: 0,
  };
  /** Each pair of queries of one feature that were in flight at the same time. */
  const overlaps: { feature: string; first: Query; second: Query }[] = [];
  const inFlightByFeature = new Map<string, Set<Query>>();

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "/", warehouse.url);
    const feature = url.searchParams.get("param_feature_name") ?? "";
    const body = Buffer.concat(await Array.fromAsync<Buffer>(request));
    state.queries += 1;
    state.inFlight += 1;
    const query = { number: state.queries, aborted: false };
    const sameFeature = inFlightByFeature.get(feature) ?? new Set();
    inFlightByFeature.set(feature, sameFeature);
    for (const first of sameFeature) overlaps.push({ feature, first, second: query });
    sameFeature.add(query);
    const detectAbort = () => {
      query.aborted ||= request.socket.readableEnded || request.socket.errored !== null;
    };
    state.maxConcurrent = Math.max(state.maxConcurrent, state.inFlight);
    state.maxConcurrentByFeature.set(
      feature,
      Math.max(state.maxConcurrentByFeature.get(feature) ?? 0, sameFeature.size),
    );
    response.on("close", () => {
      state.inFlight -= 1;
      sameFeature.delete(query);
      // The abort may arrive shortly after the response was sent, so a second check follows.
      detectAbort();
      setTimeout(detectAbort, 100);
    });
    if (gate !== null) {
      state.waiting += 1;
      await gate.opened;
      state.waiting -= 1;
    }
    const { authorization = "" } = request.headers;
    const { text, status, headers } = await send(url, "POST", { Authorization: authorization }, body.toString());
    const upstream = { body: text, status, headers };
    const fault = faultsByFeature.get(feature) ?? faultsByFeature.get("") ?? passThrough;
    fault(upstream, response);
  });
  const listen = (at: number) => new Promise<void>((resolve) => server.listen(at, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;

  return {
    settings: { ...warehouse, url: new URL(`http://127.0.0.1:${port}`) },
    state,
    overlaps,
    /** Applies a fault to all further responses; null removes it. */
    injectFault(fault: Fault | null, feature = "") {
      if (fault === null) faultsByFeature.delete(feature);
      else faultsByFeature.set(feature, fault);
    },
    /** Holds all further queries until `openGate`. */
    closeGate() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = { opened: promise, open: resolve };
    },
    openGate() {
      gate?.open();
      gate = null;
    },
    /** Refuses connections until `accept`. */
    refuse() {
      server.close();
    },
    accept: () => listen(port),
    reset() {
      state.queries = 0;
      state.maxConcurrent = 0;
      state.maxConcurrentByFeature.clear();
    },
    stop() {
      gate?.open();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Forwards the warehouse's response without a fault. */
export const passThrough: Fault = ({ body, status, headers }, response) => {
  const code = headers.get("x-clickhouse-exception-code");
  response.writeHead(status, code === null ? {} : { "X-ClickHouse-Exception-Code": code });
  response.end(body);
};

export type WarehouseProxy = Awaited<ReturnType<typeof startProxy>>;

/** All faults that the product must survive. */
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

/** Responds with rows of the exposures query. Fields that are not given have valid values. */
export function respondWith(...rows: Record<string, unknown>[]): Fault {
  const valid = { kind: "multiple", name: "", variant_hash: "0", at: 0, identities: 1, late: 0, events: 1 };
  const data = rows.map((row) => ({ ...valid, ...row }));
  return (_, response) => response.end(JSON.stringify({ data, rows: data.length }));
}
