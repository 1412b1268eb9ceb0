import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportLine } from "../support/export-line.ts";
import { ADMIN, FLAGSMITH_SECRET, startWorker, type TestWorker, until } from "../support/worker.ts";

// The load on the warehouse in the real runtimes: sweeps, webhooks and retries together. The warehouse is a stub that
// answers without counting, so that hundreds of experiments take seconds.

const EXPERIMENTS = Number(process.env["EXPERIMENTS"] ?? 150);
const CONCURRENCY = 3;
/** Recently, because experiments without exposures for 30 days are not in every sweep. */
const STARTED = new Date(Date.now() - 3_600_000).toISOString();

/** A warehouse that answers each query after a moment, fails, or holds the queries back. */
async function startStub() {
  const state = { queries: 0, inFlight: 0, maxInFlight: 0, isDown: false, gate: null as Promise<void> | null };
  const row = { kind: "multiple", name: "", variant_hash: "0", at: 0, identities: 1, late: 0, events: 1 };
  const server = createServer(async (request, response) => {
    state.queries += 1;
    state.inFlight += 1;
    state.maxInFlight = Math.max(state.maxInFlight, state.inFlight);
    response.on("close", () => {
      state.inFlight -= 1;
    });
    for await (const _ of request);
    await state.gate;
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (state.isDown) response.writeHead(503).end("Service Unavailable");
    else response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ data: [row], rows: 1 }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    state,
    settings: {
      url: new URL(`http://127.0.0.1:${port}`),
      database: "default",
      user: "default",
      password: "",
      table: "events",
      queryTimeoutMs: 120_000,
    },
    /** Holds all queries until the returned function is called. */
    close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      state.gate = promise;
      return () => {
        state.gate = null;
        resolve();
      };
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

let warehouse: Awaited<ReturnType<typeof startStub>>;
let worker: TestWorker;
beforeAll(async () => {
  warehouse = await startStub();
  worker = await startWorker(warehouse.settings, { QUERY_CONCURRENCY: CONCURRENCY });
  const lines = Array.from({ length: EXPERIMENTS }, (_, index) =>
    exportLine(`experiment-${String(index).padStart(4, "0")}`, STARTED),
  );
  for (let from = 0; from < lines.length; from += 500) {
    const imported = await worker.fetch("/v1/import", {
      method: "POST",
      headers: { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/jsonl" },
      body: lines.slice(from, from + 500).join("\n"),
    });
    expect(imported.status, await imported.text()).toBe(200);
  }
});
afterAll(async () => {
  await worker.stop();
  warehouse.stop();
});

/** Sends Flagsmith's webhook for the whole environment. */
async function hint(change: string) {
  const body = JSON.stringify({ event_type: "AUDIT_LOG_CREATED", data: { change } });
  const response = await worker.call("POST", "/webhooks/flagsmith/env", body, {
    Authorization: "",
    "X-Flagsmith-Signature": createHmac("sha256", FLAGSMITH_SECRET).update(body).digest("hex"),
  });
  expect(response.status).toBe(202);
  expect(response.json.accepted).toHaveLength(EXPERIMENTS);
  expect(response.json.skipped).toEqual([]);
}

async function countRows(condition: string): Promise<number> {
  const [row] = await worker.select(`SELECT count(*) AS count FROM experiments WHERE ${condition}`);
  return Number(row?.["count"]);
}
const untilNone = (condition: string) =>
  until(
    () => countRows(condition),
    (count) => count === 0,
    { seconds: 400 },
  );
const sumOfVersions = async () =>
  Number((await worker.select("SELECT sum(version) AS sum FROM experiments"))[0]?.["sum"]);

describe("a webhook for a whole environment", () => {
  it("is answered while the warehouse hangs, and one right after it writes only the rows whose refresh has begun", async () => {
    const open = warehouse.close();
    await hint("first");
    await until(
      () => warehouse.state.inFlight,
      (count) => count === CONCURRENCY,
    );
    const before = await sumOfVersions();
    for (const change of ["second", "third", "fourth"]) await hint(change);
    expect(await sumOfVersions()).toBe(before + CONCURRENCY);
    expect(warehouse.state.inFlight).toBe(CONCURRENCY);
    open();
    // The refreshes that had begun are followed by others at the end of the minimum interval.
    await untilNone("as_of IS NULL");
    expect(await countRows("refresh_requested_at IS NOT NULL")).toBe(CONCURRENCY);
    expect(warehouse.state.maxInFlight).toBe(CONCURRENCY);
  });
});

describe("a warehouse that is down for two sweeps", () => {
  it("never gets more queries at once than QUERY_CONCURRENCY, and all numbers are fresh when it is back", async () => {
    warehouse.state.isDown = true;
    warehouse.state.maxInFlight = 0;
    expect(await worker.sweep()).toBe(false);
    const second = worker.sweep();
    await hint("during the second sweep");
    expect(await second).toBe(false);
    expect(await countRows("last_error_at IS NULL")).toBe(0);
    warehouse.state.isDown = false;
    const back = Date.now();
    await hint("after the second sweep");
    expect(await worker.sweep()).toBe(true);
    await untilNone(`last_error_at IS NOT NULL OR as_of < ${back} OR failures > 0`);
    expect(warehouse.state.maxInFlight).toBe(CONCURRENCY);
  });
});
