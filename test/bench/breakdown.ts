import { countBreakdowns } from "../../src/warehouse/count-breakdowns.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import type { Sizes } from "./bench-sizes.ts";
import { type Cost, type Events, queryOf, startEvents, WINDOW } from "./exposure-events.ts";
import { alternate, type Figure, figureOf } from "./turns.ts";

const FEATURE = "checkout";
const VARIANTS = ["variant-0", "variant-1"].map((key) => ({ key, weight: 1 }));

/** The columns of an SDK, and traits of 120 to 150 characters. */
const VALUES = `
  ALTER TABLE events UPDATE
    sdk_language = ['javascript', 'python', 'swift'][1 + cityHash64(identifier) % 3],
    sdk_version = concat('10.', toString(cityHash64(identifier, 1) % 12), '.0'),
    traits = concat('{"email":"', identifier, '@example.org","country":"', ['DE','FR','IT','US'][1 + cityHash64(identifier, 2) % 4],
      '","plan":"', ['free','team','enterprise'][1 + cityHash64(identifier, 3) % 3], '","age":', toString(cityHash64(identifier, 4) % 80),
      ',"signed_up_at":"2026-01-01T00:00:00Z","tags":["a","b"]}')
  WHERE 1 SETTINGS mutations_sync = 2`;

/**
 * Measures the query of a breakdown against that of exposures, on two fifths of the events and identities of the other
 * parts.
 */
export async function measure({ turns, events, identities }: Sizes): Promise<Figure[]> {
  const warehouse = await startEvents();
  try {
    const shape = { events: Math.round(0.4 * events), identities: Math.round(0.4 * identities) };
    await warehouse.fill(FEATURE, { ...shape, variants: 2, duplicates: 0 });
    await warehouse.command(VALUES);
    await warehouse.command("OPTIMIZE TABLE events FINAL");
    return [
      ...(await compareCosts(warehouse, "3 dimensions", [], turns, 2.5)),
      ...(await compareCosts(warehouse, "3 dimensions and 3 traits", ["country", "plan", "age"], turns, null)),
      ...(await compareCosts(
        warehouse,
        "3 dimensions and a trait with as many values as identities",
        ["email"],
        turns,
        null,
      )),
    ];
  } finally {
    await warehouse.stop();
  }
}

async function compareCosts(
  warehouse: Events,
  what: string,
  traits: readonly string[],
  turns: number,
  goal: number | null,
): Promise<Figure[]> {
  const { connection } = warehouse;
  const query = { ...queryOf(FEATURE), variants: VARIANTS, traits, splitFrom: WINDOW.from };
  const costOf = (ask: () => Promise<{ ok: boolean }>) => (): Promise<Cost> =>
    warehouse.measure(async () => {
      const answer = await ask();
      if (!answer.ok) throw new Error(JSON.stringify(answer));
    });
  const ours = { name: what, measure: costOf(() => countBreakdowns(connection, query)) };
  const reference = { name: "the exposures query", measure: costOf(() => countExposures(connection, query)) };
  const measured = await alternate(ours, reference, turns);
  return (["ms", "mib"] as const).map((unit) =>
    figureOf(
      {
        what,
        against: reference.name,
        unit: unit === "ms" ? "ms" : "MiB",
        goal: goal === null || unit === "mib" ? null : { bound: "max", ratio: goal },
      },
      measured.map((turn) => ({ ours: turn.ours[unit], reference: turn.reference[unit] })),
    ),
  );
}
