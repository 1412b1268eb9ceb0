import { HOUR } from "../exposures/buckets.ts";
import type { WarehouseSettings } from "../settings.ts";
import { DEMO_EXPERIMENTS } from "./demo-experiments.ts";
import { connectForWriting } from "./local-warehouse.ts";

/** The length of a slot in milliseconds. Each slot has at most one event. */
const SLOT = 10_000;
const ENVIRONMENT = "demo";

/**
 * The exposures of a period as a pure function of its slots, so that the period always gets the same events. Traffic is
 * lower at night and at weekends. Half of the visitors return, and one event in twenty is delivered twice.
 */
const EXPOSURES = `
WITH
  cityHash64(slot, {feature:String}) AS dice,
  toHour(toDateTime(at / 1000, 'UTC')) AS hour,
  toDayOfWeek(toDateTime(at / 1000, 'UTC')) AS weekday,
  0.55 - 0.4 * cos((hour - 3) / 24 * 2 * pi()) - if(weekday >= 6, 0.15, 0) AS rate,
  dice % 100 < 50 AS returning,
  if(returning, slot - 1 - intDiv(dice, 100) % 8000, slot) AS visitor,
  cityHash64(visitor, {feature:String}, 'variant') % 1000 AS ticket,
  returning AND intDiv(dice, 1000000) % 1000 < {switching:UInt32} AS switched,
  cityHash64(visitor, 'sdk') % 10 < 3 AS newest_sdk
SELECT at, dice, visitor, arrayFirstIndex(limit -> ticket < limit, {limits:Array(UInt32)}) AS assigned,
  1 + (assigned - 1 + toUInt8(switched)) % length({limits:Array(UInt32)}) AS variant, if(newest_sdk, '4.3.0', '4.2.0') AS version
FROM (
  SELECT {first:Int64} + number AS slot, slot * {slot:Int64} + cityHash64(slot) % {slot:Int64} AS at
  FROM numbers(toUInt64({count:Int64}))
)
ARRAY JOIN range(if(dice % 20 = 7, 2, 1)) AS delivery
WHERE (intDiv(dice, 1000) % 1000) / 1000 < rate AND at < {now:Int64}
  AND NOT (newest_sdk AND assigned = 2 AND cityHash64(visitor, 'lost') % 1000 < {lost:UInt32})`;

const COLUMNS = `(environment_key, event, feature_name, timestamp, collected_at, identifier, value, traits, metadata,
  sdk_language, sdk_version)`;
const SDK = `'{}', '{}', ['javascript', 'python', 'swift'][1 + visitor % 3], version`;

const INSERT_EXPOSURES = `
INSERT INTO {table:Identifier} ${COLUMNS}
SELECT {environment:String}, '$flag_exposure', {feature:String}, fromUnixTimestamp64Milli(at),
  fromUnixTimestamp64Milli(at + 500 + intDiv(dice, 7) % 4000), concat('visitor-', toString(visitor)),
  {keys:Array(String)}[variant], ${SDK}
FROM (${EXPOSURES})`;

/** Inserts the events of one metric. Each follows an exposure by a few seconds. */
const INSERT_METRIC = `
INSERT INTO {table:Identifier} ${COLUMNS}
WITH
  cityHash64(dice, {event:String}) AS luck,
  at + 1000 + luck % 4000 AS follows_at,
  {means:Array(Float64)}[variant] AS mean
SELECT {environment:String}, {event:String}, {feature:String}, fromUnixTimestamp64Milli(follows_at),
  fromUnixTimestamp64Milli(follows_at + 500), concat('visitor-', toString(visitor)),
  if(mean = 0, '', toString(round(mean * (0.4 + intDiv(luck, 1000) % 1000 / 1000 * 1.2), 2))), ${SDK}
FROM (${EXPOSURES})
WHERE intDiv(luck, 1000000) % 1000 < {rates:Array(UInt32)}[variant]`;

export type Demo = {
  /** Creates the missing experiments. */
  createExperiments(): Promise<void>;
  /** Adds the traffic from the newest event until now. */
  addTraffic(): Promise<void>;
};

/**
 * Creates a demo of three experiments: one with hourly points and a winner, one with daily points and a harmed guardrail,
 * and one with failing health checks: the newest SDK version loses exposures of one variant, identities switch variants,
 * and a variant is not configured.
 */
export function createDemo(warehouse: WarehouseSettings, worker: URL, adminToken: string): Demo {
  const client = connectForWriting(warehouse);
  const headers = { Authorization: `Bearer ${adminToken}`, "Content-Type": "application/json" };
  const urlOf = (id: string) => new URL(`/v1/experiments/${id}`, worker);

  async function createExperiments(): Promise<void> {
    const now = Date.now();
    for (const { id, name, feature, age, variants, metrics } of DEMO_EXPERIMENTS) {
      const existing = await fetch(urlOf(id), { headers });
      await existing.body?.cancel();
      if (existing.status !== 404) continue;
      const started = new Date(Math.floor((now - age) / HOUR) * HOUR);
      const body = {
        name,
        environment_key: ENVIRONMENT,
        feature_name: feature,
        variants,
        started_at: started,
        metrics: metrics.map(({ definition }) => definition),
      };
      const created = await fetch(urlOf(id), { method: "PUT", headers, body: JSON.stringify(body) });
      await created.body?.cancel();
      // The visitor may count the same feature by now.
      if (!created.ok && created.status !== 409)
        throw new Error(`The demo experiment ${id} was not created (status ${created.status}). See the log.`);
    }
  }

  async function addTraffic(): Promise<void> {
    const now = Date.now();
    for (const experiment of DEMO_EXPERIMENTS) {
      const newest = await newestEvent(experiment.feature);
      const first = Math.floor((newest ?? now - experiment.age) / SLOT) + 1;
      const limits: number[] = [];
      for (const { share } of experiment.served) limits.push((limits.at(-1) ?? 0) + share);
      const period = {
        table: warehouse.table,
        environment: ENVIRONMENT,
        feature: experiment.feature,
        switching: experiment.switching,
        lost: experiment.lost,
        limits,
        first,
        slot: SLOT,
        count: Math.max(0, Math.floor(now / SLOT) - first + 1),
        now,
      };
      for (const { definition, follows } of experiment.metrics) {
        const metric = {
          event: definition.event,
          rates: follows.map(({ rate }) => rate),
          means: follows.map(({ mean }) => mean),
        };
        await client.command({ query: INSERT_METRIC, query_params: { ...period, ...metric } });
      }
      // Last, because the newest exposure says how far the traffic goes.
      const keys = experiment.served.map(({ key }) => key);
      await client.command({ query: INSERT_EXPOSURES, query_params: { ...period, keys } });
    }
  }

  async function newestEvent(feature: string): Promise<number | null> {
    const result = await client.query({
      query: `SELECT toUnixTimestamp64Milli(max(timestamp)) AS newest FROM {table:Identifier}
        WHERE environment_key = {environment:String} AND event = '$flag_exposure' AND feature_name = {feature:String}`,
      query_params: { table: warehouse.table, environment: ENVIRONMENT, feature },
      format: "JSON",
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    });
    const { data } = await result.json<{ newest: number }>();
    return data[0]?.newest || null;
  }

  return { createExperiments, addTraffic };
}
