import type { Aggregation, Metric } from "../../src/experiment.ts";
import { countMetrics } from "../../src/warehouse/count-metrics.ts";
import type { CountedMetric } from "../../src/warehouse/metric-rows.ts";
import type { Sizes } from "./bench-sizes.ts";
import { type Cost, ENVIRONMENT, type Events, queryOf, startEvents, WINDOW } from "./exposure-events.ts";
import { flagsmithExposures, flagsmithResults } from "./flagsmith-results.ts";
import { alternate, type Figure, figureOf, type Goal } from "./turns.ts";

const FEATURE = "checkout";

/** Metric events, as shares of the events. Those outside come from twice as many identities, none in the experiment. */
const EVENTS = [
  { event: "purchase", share: 0.15, isOutside: false },
  { event: "sign_up", share: 0.075, isOutside: false },
  { event: "page_view", share: 0.15, isOutside: false },
  { event: "ticket", share: 0.15, isOutside: true },
];

const metricOf = (event: string, aggregation: Aggregation, index = 0): Metric => ({
  key: `${event}-${aggregation}-${index}`,
  name: event,
  event,
  aggregation,
  expectedDirection: "increase",
  conversionWindowHours: null,
  lookbackDays: 0,
});
const sum = metricOf("purchase", "sum");
const TWO = [metricOf("sign_up", "occurrence"), sum];
const FIVE = [...TWO, ...(["occurrence", "count", "mean"] as const).map((name) => metricOf("purchase", name))];
const TWENTY = Array.from({ length: 20 }, (_, index) => {
  const aggregations = ["occurrence", "count", "sum", "mean"] as const;
  return metricOf(["purchase", "sign_up", "page_view"][index % 3] ?? "", aggregations[index % 4] ?? "sum", index);
});

/**
 * Measures all queries of a refresh with metrics against Flagsmith's two queries, on three tenths of the events and
 * identities of the other parts.
 */
export async function measure({ turns, events, identities }: Sizes): Promise<Figure[]> {
  const warehouse = await startEvents();
  try {
    const shape = { events: Math.round(0.3 * events), identities: Math.round(0.3 * identities) };
    await warehouse.fill(FEATURE, { ...shape, variants: 2, duplicates: 0 });
    for (const { event, share, isOutside } of EVENTS)
      await insert(warehouse, event, Math.round(share * events), shape.identities, isOutside);
    await warehouse.command("OPTIMIZE TABLE events FINAL");

    const goals = { ms: { bound: "max", ratio: 1 / 3 }, mib: { bound: "max", ratio: 0.6 } } as const;
    const figures = [
      ...(await againstFlagsmith(warehouse, "2 metrics", TWO, turns, goals)),
      ...(await againstFlagsmith(warehouse, "1 metric", [sum], turns)),
      ...(await againstFlagsmith(warehouse, "5 metrics", FIVE, turns)),
      ...(await againstFlagsmith(warehouse, "20 metrics", TWENTY, turns)),
      ...(await againstFlagsmith(
        warehouse,
        "2 metrics, one of others",
        [...TWO.slice(1), metricOf("ticket", "sum")],
        turns,
      )),
    ];
    const looking = TWO.map((metric) => ({ ...metric, lookbackDays: 14 }));
    const costs = { ours: ours(warehouse, looking), reference: ours(warehouse, TWO) };
    figures.push(...(await compareCosts("2 metrics, with look-back", "without", costs, turns)));
    const none = { ours: ours(warehouse, TWO), reference: ours(warehouse, []) };
    figures.push(...(await compareCosts("2 metrics", "exposures alone", none, turns)));
    return figures;
  } finally {
    await warehouse.stop();
  }
}

async function insert({ command }: Events, event: string, events: number, identities: number, isOutside: boolean) {
  const size = 1_000_000;
  for (let from = 0; from < events; from += size) {
    await command(`INSERT INTO events
      (environment_key, event, feature_name, timestamp, collected_at, identifier, value, traits, metadata)
      SELECT '${ENVIRONMENT}', '${event}', '',
        fromUnixTimestamp64Milli(${WINDOW.from} + toInt64(cityHash64(number, '${event}') % ${WINDOW.to - WINDOW.from})) AS at, at,
        concat('${isOutside ? "other" : "identity"}-', hex(cityHash64(cityHash64(number, '${event}', 2) % ${identities * (isOutside ? 2 : 1)}))),
        toString((cityHash64(number, '${event}', 3) % 100000) / 100), '{}', '{}'
      FROM numbers(${from}, ${Math.min(size, events - from)})`);
  }
}

async function countOf({ connection }: Events, metrics: readonly Metric[]): Promise<CountedMetric[]> {
  const counted = await countMetrics(connection, queryOf(FEATURE), metrics);
  if (!counted.ok) throw new Error(JSON.stringify(counted.failure));
  return counted.value.metrics;
}

type Measure = () => Promise<Cost>;

const ours =
  (warehouse: Events, metrics: readonly Metric[]): Measure =>
  () =>
    warehouse.measure(() => countOf(warehouse, metrics));

async function againstFlagsmith(
  warehouse: Events,
  what: string,
  metrics: readonly Metric[],
  turns: number,
  goals?: { ms: Goal; mib: Goal },
): Promise<Figure[]> {
  const results = flagsmithResults(FEATURE, metrics);
  checkSame(await countOf(warehouse, metrics), await warehouse.select(results));
  const reference = () =>
    warehouse.measure(async () => {
      await warehouse.select(flagsmithExposures(FEATURE));
      await warehouse.select(results);
    });
  return compareCosts(what, "Flagsmith's two queries", { ours: ours(warehouse, metrics), reference }, turns, goals);
}

/** Throws unless the sums of both queries agree. */
function checkSame(counted: readonly CountedMetric[], rows: readonly unknown[]): void {
  for (const row of rows.map(Object)) {
    for (const [index, { key, moments }] of counted.entries()) {
      const [sum, expected] = [moments.get(row.variant)?.sum, Number(row[`m${index}_sum`])];
      if (sum === undefined || Math.abs(sum - expected) > 1e-9 * expected)
        throw new Error(`The two queries return different sums for ${key} and ${row.variant}: ${sum} and ${expected}.`);
    }
  }
}

async function compareCosts(
  what: string,
  against: string,
  { ours, reference }: { ours: Measure; reference: Measure },
  turns: number,
  goals?: { ms: Goal; mib: Goal },
): Promise<Figure[]> {
  const measured = await alternate({ name: what, measure: ours }, { name: against, measure: reference }, turns);
  return (["ms", "mib"] as const).map((unit) =>
    figureOf(
      { what, against, unit: unit === "ms" ? "ms" : "MiB", goal: goals?.[unit] ?? null },
      measured.map((turn) => ({ ours: turn.ours[unit], reference: turn.reference[unit] })),
    ),
  );
}
