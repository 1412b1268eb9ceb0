import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClickHouseLogLevel, createClient } from "@clickhouse/client-web";
import { prepareWarehouse, startWarehouse } from "../../src/dev/local-warehouse.ts";
import { DAY, type Window } from "../../src/exposures/buckets.ts";
import { connectionOptions, connectWarehouse } from "../../src/warehouse/client.ts";
import type { ExposureQuery } from "../../src/warehouse/exposure-query.ts";
import { timed } from "./turns.ts";

/** The time of a query, and its peak memory as the engine reports it. */
export type Cost = { ms: number; mib: number };

export type Shape = {
  /** The number of events without duplicates. */
  events: number;
  identities: number;
  variants: number;
  /** The percentage of events that are inserted twice. */
  duplicates: number;
};

export const ENVIRONMENT = "bench";
/** Two weeks with evenly spread exposures. About one identity in a hundred sees several variants. */
export const WINDOW: Window = { from: Date.UTC(2026, 5, 1), to: Date.UTC(2026, 5, 15) };
const INSERT_SIZE = 1_000_000;

/** Starts a ClickHouse engine in its own process, with an events table and functions to fill and to measure it. */
export async function startEvents(withStates = false) {
  const folder = mkdtempSync(join(tmpdir(), "edge-exposures-bench-"));
  const user = { name: "default", password: "", readonly: 0 as const };
  const started = await startWarehouse({ folder, port: 0, users: [user] });
  if (!started.ok) throw new Error(started.failure);
  const settings = {
    url: started.value.url,
    database: "default",
    user: user.name,
    password: "",
    table: "events",
    queryTimeoutMs: 900_000,
  };
  await prepareWarehouse(settings, withStates);
  // Merging all parts takes longer than the client's default timeout.
  const options = { request_timeout: settings.queryTimeoutMs, log: { level: ClickHouseLogLevel.OFF } };
  const client = createClient({ ...connectionOptions(settings), ...options });
  const command = async (query: string) => void (await client.command({ query }));
  const connection = connectWarehouse(settings);

  async function select(sql: string): Promise<unknown[]> {
    const rows = await connection.select(sql, {});
    if (!rows.ok) throw new Error(`${JSON.stringify(rows.failure)} for ${sql}`);
    return rows.value;
  }

  /** Inserts the exposures of a feature, at most a million per statement. */
  async function fill(feature: string, shape: Shape): Promise<void> {
    await insert(feature, shape, shape.events);
    await insert(feature, shape, Math.round((shape.events * shape.duplicates) / 100));
  }

  async function insert(feature: string, { identities, variants }: Shape, events: number): Promise<void> {
    const length = (WINDOW.to - WINDOW.from) / DAY;
    for (let from = 0; from < events; from += INSERT_SIZE) {
      await command(`INSERT INTO events
        (environment_key, event, feature_name, timestamp, collected_at, identifier, value, traits, metadata)
        SELECT '${ENVIRONMENT}', '$flag_exposure', '${feature}',
          fromUnixTimestamp64Milli(${WINDOW.from} + toInt64(cityHash64(number, 1) % (${length} * ${DAY}))) AS at,
          at, concat('identity-', hex(cityHash64(cityHash64(number, 2) % ${identities}))) AS identity,
          concat('variant-', toString((cityHash64(identity) + (cityHash64(number, 3) % 400 = 0)) % ${variants})), '{}', '{}'
        FROM numbers(${from}, ${Math.min(INSERT_SIZE, events - from)})`);
    }
  }

  /** Measures a statement, or a function that queries the connection. */
  async function measure(work: string | (() => Promise<unknown>)): Promise<Cost> {
    const run = typeof work === "string" ? () => select(work) : work;
    let mib = 0;
    let running = true;
    const sampling = (async () => {
      while (running) {
        const [row] = await select(PEAK);
        mib = Math.max(mib, Number(Object.values(Object(row))[0]) / 2 ** 20);
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    })();
    try {
      return { ms: await timed(run), mib };
    } finally {
      running = false;
      await sampling;
    }
  }

  return {
    connection,
    command,
    select,
    fill,
    measure,
    async stop() {
      await started.value.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

export type Events = Awaited<ReturnType<typeof startEvents>>;

/** The peak memory of the running queries, without this one. */
const PEAK = `SELECT max(peak_memory_usage) AS peak FROM system.processes WHERE query NOT LIKE '%system.processes%'`;

export function queryOf(feature: string): ExposureQuery {
  return { environmentKey: ENVIRONMENT, featureName: feature, window: WINDOW };
}

const conditionOf = (feature: string) => `environment_key = '${ENVIRONMENT}' AND event = '$flag_exposure'
  AND feature_name = '${feature}' AND timestamp >= fromUnixTimestamp64Milli(${WINDOW.from})
  AND timestamp < fromUnixTimestamp64Milli(${WINDOW.to}) AND identifier != '' AND value != ''`;

/** The query of the best known system: the exact set of each identity's variants. */
export const uniqExactOf = (feature: string, table = "events") => `
  SELECT multiple, if(multiple, '', variant) AS variant_key, if(multiple, toDateTime64(0, 3), toStartOfDay(first)) AS bucket,
    count() AS identities
  FROM (
    SELECT uniqExact(value) > 1 AS multiple, any(value) AS variant, min(timestamp) AS first
    FROM ${table} WHERE ${conditionOf(feature)} GROUP BY identifier
  )
  GROUP BY multiple, variant_key, bucket`;

/** The minimum work of any such query: counting the identities. */
export const groupByOf = (feature: string, identity: string) =>
  `SELECT count() AS identities FROM (SELECT 1 FROM events WHERE ${conditionOf(feature)} GROUP BY ${identity})`;
