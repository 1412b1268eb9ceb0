import type { ExposureCount } from "../../src/exposures/summary.ts";
import type { Warehouse } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import { FIRST_AND_LATE } from "../../src/warehouse/event-sql.ts";
import type { Sizes } from "./bench.ts";
import { type Events, groupByOf, questionOf, type Shape, startEvents, uniqExactOf } from "./exposure-events.ts";
import { alternate, compare, type Figure, figureOf, type Goal, timed } from "./turns.ts";

/** The query over raw events against the uniqExact form, and against a GROUP BY that does nothing else. */
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
  const goal = (ratio: number): Goal | null => (hasGoals ? { at: "most", ratio } : null);

  const theirs = await warehouse.select(uniqExactOf(feature));
  if (identitiesOf(theirs) !== identitiesOf(await countOf(warehouse, feature)))
    throw new Error(`the two queries do not count alike for ${feature}`);
  const uniqExact = await against("uniqExact(value)", uniqExactOf(feature));
  const bare = await against("GROUP BY 128 bits", groupByOf(feature, "cityHash64(identifier), xxh3(identifier)"));
  const barest = await against("GROUP BY 64 bits", groupByOf(feature, "cityHash64(identifier)"));
  const inMs = (turns: typeof bare) => turns.map(({ ours, reference }) => ({ ours: ours.ms, reference: reference.ms }));
  const inMib = uniqExact.map(({ ours, reference }) => ({ ours: ours.mib, reference: reference.mib }));
  const what = { what: feature, unit: "ms" } as const;
  return [
    figureOf({ ...what, against: "uniqExact(value)", goal: goal(0.286) }, inMs(uniqExact)),
    figureOf({ ...what, against: "uniqExact(value)", unit: "MiB", goal: goal(0.6) }, inMib),
    figureOf({ ...what, against: "GROUP BY 128 bits", goal: goal(2.5) }, inMs(bare)),
    figureOf({ ...what, against: "GROUP BY 64 bits", goal: goal(2.5) }, inMs(barest)),
  ];
}

/** What it costs that a refresh finds out about health, too: of late events alone, and of all. */
async function compareHealth(warehouse: Events, feature: string, turns: number): Promise<Figure[]> {
  const { connection } = warehouse;
  const counting = (name: string, select: Warehouse["select"]) => {
    const asked = { ...warehouse, connection: { ...connection, select } };
    return { name, measure: () => timed(() => countOf(asked, feature)) };
  };
  const withoutLate = (sql: string) => sql.replace(FIRST_AND_LATE, "toUnixTimestamp64Milli(timestamp) * 2");
  const onlyCounts = (sql: string) => withoutLate(sql).split("UNION ALL")[0] ?? "";
  const ours = counting(feature, connection.select);
  const against = (name: string, cut: (sql: string) => string, ratio: number | null) =>
    compare(
      ours,
      counting(name, (sql, ...rest) => connection.select(cut(sql), ...rest)),
      turns,
      { unit: "ms", goal: ratio === null ? null : { at: "most", ratio } },
    );
  return [
    await against("the same without late events", withoutLate, 1.1),
    await against("the same without any health", onlyCounts, null),
  ];
}

async function countOf({ connection }: Events, feature: string): Promise<ExposureCount[]> {
  const counts = await countExposures(connection, questionOf(feature));
  if (!counts.ok) throw new Error(JSON.stringify(counts.failure));
  return counts.value.counts;
}

function identitiesOf(rows: readonly unknown[]): number {
  return rows.reduce((sum: number, row) => sum + Number(Object(row).identities), 0);
}

function million(count: number): string {
  return `${count / 1_000_000} M`;
}
