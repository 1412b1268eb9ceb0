import type { Warehouse } from "../../src/warehouse/client.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import type { Sizes } from "./bench-sizes.ts";
import { type Events, queryOf, startEvents, uniqExactOf } from "./exposure-events.ts";
import { alternate, type Figure, figureOf } from "./turns.ts";

const FEATURE = "sharded";

/** Measures the query over a Distributed table with two shards, which are the engine itself twice. */
export async function measure({ turns, events, identities }: Sizes): Promise<Figure[]> {
  const warehouse = await startEvents();
  try {
    await warehouse.fill(FEATURE, { events, identities, variants: 2, duplicates: 0 });
    await warehouse.command("OPTIMIZE TABLE events FINAL");
    await warehouse.command("CREATE TABLE shards AS remote('127.0.0.1,localhost', default.events)");
    const { connection } = warehouse;
    const shards = { ...connection, table: { ...connection.table, table: "shards" } };
    const one = await totalOf(connection);
    if ((await totalOf(shards)) !== one) throw new Error("One shard and two shards return different counts.");

    const ours = { name: "two shards", measure: () => warehouse.measure(() => totalOf(shards)) };
    const uniqExact = await against(warehouse, ours, "uniqExact(value)", uniqExactOf(FEATURE, "shards"), turns);
    const single = await against(warehouse, ours, "one of the shards", () => totalOf(connection), turns);
    return [...uniqExact, ...single];
  } finally {
    await warehouse.stop();
  }
}

async function against(
  { measure }: Events,
  ours: Parameters<typeof alternate<{ ms: number; mib: number }>>[0],
  name: string,
  work: Parameters<Events["measure"]>[0],
  turns: number,
): Promise<Figure[]> {
  const measured = await alternate(ours, { name, measure: () => measure(work) }, turns);
  return (["ms", "mib"] as const).map((unit) =>
    figureOf(
      { what: ours.name, against: name, unit: unit === "ms" ? "ms" : "MiB", goal: null },
      measured.map((turn) => ({ ours: turn.ours[unit], reference: turn.reference[unit] })),
    ),
  );
}

async function totalOf(warehouse: Warehouse): Promise<number> {
  const counted = await countExposures(warehouse, queryOf(FEATURE));
  if (!counted.ok) throw new Error(JSON.stringify(counted.failure));
  return counted.value.counts.reduce((sum, { identities }) => sum + identities, 0);
}
