import type { WarehouseSettings } from "../settings.ts";
import { connectForWriting } from "./local-warehouse.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** The length of a slot in milliseconds. Each slot has at most one event. */
const SLOT = 10_000;
const ENVIRONMENT = "demo";

type DemoExperiment = {
  id: string;
  name: string;
  feature: string;
  /** The age of the experiment at its creation, in milliseconds. */
  age: number;
  variants: { key: string; weight: number }[];
  /** The variants that identities get, with shares out of 1000. */
  served: { key: string; share: number }[];
  /** The number of returning identities out of 1000 that get another variant than before. */
  switching: number;
};

const EXPERIMENTS: readonly DemoExperiment[] = [
  {
    id: "checkout-cta",
    name: "Checkout: wording of the button",
    feature: "checkout_button",
    age: 2 * DAY,
    variants: [
      { key: "control", weight: 50 },
      { key: "treatment", weight: 50 },
    ],
    served: [
      { key: "control", share: 500 },
      { key: "treatment", share: 500 },
    ],
    switching: 2,
  },
  {
    id: "onboarding-flow",
    name: "Onboarding: three, four or five steps",
    feature: "onboarding_steps",
    age: 21 * DAY,
    variants: [
      { key: "three", weight: 34 },
      { key: "four", weight: 33 },
      { key: "five", weight: 33 },
    ],
    served: [
      { key: "three", share: 340 },
      { key: "four", share: 330 },
      { key: "five", share: 330 },
    ],
    switching: 0,
  },
  {
    id: "pricing-page",
    name: "Pricing: yearly first (broken on purpose)",
    feature: "pricing_yearly_first",
    age: 9 * DAY,
    variants: [
      { key: "control", weight: 50 },
      { key: "yearly", weight: 50 },
    ],
    served: [
      { key: "control", share: 560 },
      { key: "yearly", share: 430 },
      { key: "legacy", share: 10 },
    ],
    switching: 60,
  },
];

/**
 * Inserts traffic as a pure function of the slot, so that a period always gets the same events. Traffic is lower at night
 * and at weekends. Half of the visitors return, and one event in twenty is delivered twice.
 */
const TRAFFIC = `
INSERT INTO {table:Identifier} (environment_key, event, feature_name, timestamp, collected_at, identifier, value, traits,
  metadata, sdk_language, sdk_version)
WITH
  cityHash64(slot, {feature:String}) AS dice,
  toHour(toDateTime(at / 1000, 'UTC')) AS hour,
  toDayOfWeek(toDateTime(at / 1000, 'UTC')) AS weekday,
  0.55 - 0.4 * cos((hour - 3) / 24 * 2 * pi()) - if(weekday >= 6, 0.15, 0) AS rate,
  dice % 100 < 50 AS returning,
  if(returning, slot - 1 - intDiv(dice, 100) % 8000, slot) AS visitor,
  cityHash64(visitor, {feature:String}, 'variant') % 1000 AS ticket,
  returning AND intDiv(dice, 1000000) % 1000 < {switching:UInt32} AS switched
SELECT {environment:String}, '$flag_exposure', {feature:String}, fromUnixTimestamp64Milli(at),
  fromUnixTimestamp64Milli(at + 500 + intDiv(dice, 7) % 4000), concat('visitor-', toString(visitor)),
  arrayElement({keys:Array(String)}, 1 + (
    arrayFirstIndex(limit -> ticket < limit, {limits:Array(UInt32)}) - 1 + toUInt8(switched)
  ) % length({keys:Array(String)})),
  '{}', '{}', ['javascript', 'python', 'swift'][1 + visitor % 3], '4.2.0'
FROM (
  SELECT {first:Int64} + number AS slot, slot * {slot:Int64} + cityHash64(slot) % {slot:Int64} AS at
  FROM numbers(toUInt64({count:Int64}))
)
ARRAY JOIN range(if(dice % 20 = 7, 2, 1)) AS delivery
WHERE (intDiv(dice, 1000) % 1000) / 1000 < rate AND at < {now:Int64}`;

export type Demo = {
  /** Creates the missing experiments. */
  createExperiments(): Promise<void>;
  /** Adds the traffic from the newest event until now. */
  addTraffic(): Promise<void>;
};

/** Creates a demo of three experiments: one with hourly points, one with daily points, and one with failing health checks. */
export function createDemo(warehouse: WarehouseSettings, worker: URL, adminToken: string): Demo {
  const client = connectForWriting(warehouse);
  const headers = { Authorization: `Bearer ${adminToken}`, "Content-Type": "application/json" };
  const urlOf = (id: string) => new URL(`/v1/experiments/${id}`, worker);

  async function createExperiments(): Promise<void> {
    const now = Date.now();
    for (const { id, name, feature, age, variants } of EXPERIMENTS) {
      const existing = await fetch(urlOf(id), { headers });
      await existing.body?.cancel();
      if (existing.status !== 404) continue;
      const started = new Date(Math.floor((now - age) / HOUR) * HOUR);
      const body = { name, environment_key: ENVIRONMENT, feature_name: feature, variants, started_at: started };
      const created = await fetch(urlOf(id), { method: "PUT", headers, body: JSON.stringify(body) });
      await created.body?.cancel();
    }
  }

  async function addTraffic(): Promise<void> {
    const now = Date.now();
    for (const experiment of EXPERIMENTS) {
      const newest = await newestEvent(experiment.feature);
      const first = Math.floor((newest ?? now - experiment.age) / SLOT) + 1;
      const limits: number[] = [];
      for (const { share } of experiment.served) limits.push((limits.at(-1) ?? 0) + share);
      await client.command({
        query: TRAFFIC,
        query_params: {
          table: warehouse.table,
          environment: ENVIRONMENT,
          feature: experiment.feature,
          switching: experiment.switching,
          keys: experiment.served.map(({ key }) => key),
          limits,
          first,
          slot: SLOT,
          count: Math.max(0, Math.floor(now / SLOT) - first + 1),
          now,
        },
      });
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
