import { DAY } from "../../src/exposures/buckets.ts";
import { discoverFeatures } from "../../src/warehouse/discover-features.ts";
import type { Sizes } from "./bench-sizes.ts";
import { startEvents, WINDOW } from "./exposure-events.ts";
import { alternate, type Figure, figureOf } from "./turns.ts";

const FEATURES = 40;

/** Measures the query behind GET /v1/warehouse/features against a full GROUP BY, and one that counts identities exactly. */
export async function measure({ turns, events, identities }: Sizes): Promise<Figure[]> {
  const warehouse = await startEvents();
  try {
    const shape = { variants: 3, duplicates: 0 };
    for (let feature = 0; feature < FEATURES; feature += 1)
      await warehouse.fill(`feature-${feature}`, {
        ...shape,
        events: events / FEATURES,
        identities: identities / FEATURES,
      });
    await warehouse.command("OPTIMIZE TABLE events FINAL");
    const what = `${events / 1_000_000} M events of ${FEATURES} features`;
    const discover = async () => {
      const found = await discoverFeatures(warehouse.connection, null, WINDOW.from + 30 * DAY);
      if (!found.ok || found.value.features.length !== FEATURES) throw new Error(JSON.stringify(found));
    };
    const figures: Figure[] = [];
    for (const [against, sql, ratio] of [
      ["a full GROUP BY", fullGroupBy("count()"), 2],
      ["a full GROUP BY, uniqExact(identifier)", fullGroupBy("uniqExact(identifier)"), 0.5],
    ] as const) {
      const costs = await alternate(
        { name: what, measure: () => warehouse.measure(discover) },
        { name: against, measure: () => warehouse.measure(sql) },
        turns,
      );
      const inUnit = (unit: "ms" | "mib") =>
        costs.map(({ ours, reference }) => ({ ours: ours[unit], reference: reference[unit] }));
      figures.push(figureOf({ what, against, unit: "ms", goal: { bound: "max", ratio } }, inUnit("ms")));
      figures.push(figureOf({ what, against, unit: "MiB", goal: null }, inUnit("mib")));
    }
    return figures;
  } finally {
    await warehouse.stop();
  }
}

const fullGroupBy = (count: string) =>
  `SELECT environment_key, feature_name, value, ${count} AS counted FROM events GROUP BY environment_key, feature_name, value`;
