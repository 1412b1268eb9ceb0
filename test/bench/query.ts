import type { ExposureCount } from "../../src/exposures/summary.ts";
import type { Warehouse } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import { FIRST_AND_LATE } from "../../src/warehouse/event-sql.ts";
import type { Sizes } from "./bench-sizes.ts";
import { type Events, groupByOf, queryOf, type Shape, startEvents, uniqExactOf } from "./exposure-events.ts";
import { alternate, compare, type Figure, figureOf, type Goal, timed } from "./turns.ts";

/** Measures the query over raw events against the uniqExact query and against a bare GROUP BY. */
export async function measure({ turns, events, identities }: Sizes): Promise<Figure[]> {
  const base: Shape = { events, identities, variants: 2, duplicates: 0 };
  const few = Math.max(1, identities / 500);
  const shapes: [string, Shape][] = [
    [`${million(events)} events of ${million(identities)} identities`, base],
    ["with 10 % duplicates", { ...base, duplicates: 10 }],
    ["with 100 % duplicates", { ...base, duplicates: 100 }],
    ["with 20 variants", { ...base, variants: 20 }],
    [`of ${few.toLocaleString("en")} identities`, { ...base, identities: few }],
  ];
  const warehouse = await startEvents();
  try {
    const figures: Figure[] = [];
    for (const [name, shape] of shapes) {
      await warehouse.fill(name, shape);
      await warehouse.command("OPTIMIZE TABLE events FINAL");
      figures.push(...(await compareAll(warehouse, name, turns, shape === base)));
      if (shape === base) figures.push(...(await compareHealth(warehouse, name, turns)));
      await warehouse.command("TRUNCATE TABLE events");
    }
    return figures;
  } finally {
    await warehouse.stop();
  }
}

async function compareAll(warehouse: Events, feature: string, turns: number, hasGoals: boolean): Promise<Figure[]> {
  const ours = { name: feature, measure: () => warehouse.measure(() => countOf(warehouse, feature)) };
  const against = (name: string, sql: string) =>
    alternate(ours, { name, measure: () => warehouse.measure(sql) }, turns);
  const goal = (ratio: number): Goal | null => (hasGoals ? { bound: "max", ratio } : null);

  const uniqExactRows = await warehouse.select(uniqExactOf(feature));
  if (identitiesOf(uniqExactRows) !== identitiesOf(await countOf(warehouse, feature)))
    throw new Error(`The two queries return different counts for ${feature}.`);
  const uniqExact = await against("uniqExact(value)", uniqExactOf(feature));
  const groupBy128 = await against("GROUP BY 128 bits", groupByOf(feature, "cityHash64(identifier), xxh3(identifier)"));
  const groupBy64 = await against("GROUP BY 64 bits", groupByOf(feature, "cityHash64(identifier)"));
  const inMs = (turns: typeof groupBy128) =>
    turns.map(({ ours, reference }) => ({ ours: ours.ms, reference: reference.ms }));
  const inMib = uniqExact.map(({ ours, reference }) => ({ ours: ours.mib, reference: reference.mib }));
  const what = { what: feature, unit: "ms" } as const;
  return [
    figureOf({ ...what, against: "uniqExact(value)", goal: goal(0.286) }, inMs(uniqExact)),
    figureOf({ ...what, against: "uniqExact(value)", unit: "MiB", goal: goal(0.6) }, inMib),
    figureOf({ ...what, against: "GROUP BY 128 bits", goal: goal(2.5) }, inMs(groupBy128)),
    figureOf({ ...what, against: "GROUP BY 64 bits", goal: goal(2.5) }, inMs(groupBy64)),
  ];
}

/** Measures the cost of the figures for health: of late events alone, and of all. */
async function compareHealth(warehouse: Events, feature: string, turns: number): Promise<Figure[]> {
  const { connection } = warehouse;
  const candidate = (name: string, select: Warehouse["select"]) => {
    const modified = { ...warehouse, connection: { ...connection, select } };
    return { name, measure: () => timed(() => countOf(modified, feature)) };
  };
  const withoutLate = (sql: string) => sql.replace(FIRST_AND_LATE, "toUnixTimestamp64Milli(timestamp) * 2");
  const onlyCounts = (sql: string) => withoutLate(sql).split("UNION ALL")[0] ?? "";
  const ours = candidate(feature, connection.select);
  const against = (name: string, cut: (sql: string) => string, ratio: number | null) =>
    compare(
      ours,
      candidate(name, (sql, ...rest) => connection.select(cut(sql), ...rest)),
      turns,
      { unit: "ms", goal: ratio === null ? null : { bound: "max", ratio } },
    );
  return [
    await against("the same without late events", withoutLate, 1.1),
    await against("the same without any health", onlyCounts, null),
  ];
}

async function countOf({ connection }: Events, feature: string): Promise<ExposureCount[]> {
  const counts = await countExposures(connection, queryOf(feature));
  if (!counts.ok) throw new Error(JSON.stringify(counts.failure));
  return counts.value.counts;
}

function identitiesOf(rows: readonly unknown[]): number {
  return rows.reduce((sum: number, row) => sum + Number(Object(row).identities), 0);
}

function million(count: number): string {
  return `${count / 1_000_000} M`;
}
