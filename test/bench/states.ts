import type { StartedExperiment } from "../../src/experiment.ts";
import type { ExposureCount } from "../../src/exposures/summary.ts";
import { advanceWindow } from "../../src/refresh/advance-window.ts";
import { countFromStates } from "../../src/refresh/state-maintenance.ts";
import { countExposures } from "../../src/warehouse/count-exposures.ts";
import type { Sizes } from "./bench-sizes.ts";
import { ENVIRONMENT, type Events, queryOf, type Shape, startEvents, uniqExactOf, WINDOW } from "./exposure-events.ts";
import { alternate, compare, type Figure, figureOf, type Turn, timed } from "./turns.ts";

const TABLES = ["exposure_firsts", "exposure_identities"];

/** Measures counting from states against counting the same events by uniqExact, and the cost of states at insert. */
export async function measure({ turns, events, identities }: Sizes): Promise<Figure[]> {
  const shape: Shape = { events, identities, variants: 2, duplicates: 0 };
  const warehouse = await startEvents(true);
  try {
    const insert = await compareInserts(warehouse, shape, turns);
    await setMerges(warehouse, false);
    await open(warehouse, "once");
    await warehouse.fill("once", shape);
    await markFilled(warehouse, "once");
    const unmerged = await againstUniqExact(warehouse, "once", turns);
    const partCount = await countParts(warehouse);

    await setMerges(warehouse, true);
    await merge(warehouse);
    const merged = await againstUniqExact(warehouse, "once", turns);

    await open(warehouse, "twice");
    await warehouse.fill("twice", { ...shape, duplicates: 100 });
    await markFilled(warehouse, "twice");
    await merge(warehouse);
    const doubled = await compare(
      { name: "merged, with 100 % duplicates", measure: async () => (await countOf(warehouse, "twice")).ms },
      { name: "merged, without", measure: async () => (await countOf(warehouse, "once")).ms },
      turns,
      { unit: "ms", goal: { bound: "max", ratio: 1.2 } },
    );
    const figure = (what: string, ratio: number, turns: readonly Turn<number>[]) =>
      figureOf({ what, against: "uniqExact(value)", unit: "ms", goal: { bound: "max", ratio } }, turns);
    return [
      figure("merged", 1 / 40, merged),
      figure(`in ${partCount} parts, not merged`, 1 / 5, unmerged),
      doubled,
      insert,
    ];
  } finally {
    await warehouse.stop();
  }
}

function experimentOf(feature: string): StartedExperiment {
  return { experimentId: feature, environmentKey: ENVIRONMENT, featureName: feature, startedAt: WINDOW.from };
}

/** Turns background merges on or off. Without them, the rows of each insert stay in a part of their own. */
async function setMerges({ command }: Events, enabled: boolean): Promise<void> {
  const maxBytes = enabled ? "161061273600" : "1";
  for (const table of TABLES)
    await command(`ALTER TABLE ${table} MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = ${maxBytes}`);
}

async function merge({ command }: Events): Promise<void> {
  for (const table of TABLES) await command(`OPTIMIZE TABLE ${table} FINAL`);
}

async function countParts({ select }: Events): Promise<number> {
  const [row] = await select("SELECT uniqExact(_part) AS parts FROM exposure_identities");
  return Number(Object(row).parts);
}

const noLog = () => undefined;

async function open({ connection }: Events, feature: string): Promise<void> {
  await advanceWindow(
    { warehouse: connection, longestInsertMs: 0, clock: Date.now, log: noLog },
    experimentOf(feature),
  );
}

/** Records the window as filled. All events arrived while it was open, so nothing else is missing. */
async function markFilled({ command }: Events, feature: string): Promise<void> {
  await command(`INSERT INTO exposure_windows (window, experiment_id, environment_key, feature_name, started_at, state)
    SELECT window, experiment_id, environment_key, feature_name, started_at, 'filled' FROM exposure_windows
    WHERE experiment_id = '${feature}'`);
}

async function countOf({ connection }: Events, feature: string): Promise<{ ms: number; counts: ExposureCount[] }> {
  let counts: ExposureCount[] | null = null;
  const deps = { warehouse: connection, longestInsertMs: 0, log: noLog };
  const ms = await timed(async () => {
    const counted = await countFromStates(deps, experimentOf(feature), queryOf(feature));
    counts = counted?.counts ?? null;
  });
  if (counts === null) throw new Error(`There are no states of ${feature}.`);
  return { ms, counts };
}

async function againstUniqExact(warehouse: Events, feature: string, turns: number): Promise<Turn<number>[]> {
  const { counts } = await countOf(warehouse, feature);
  const fromEvents = await countExposures(warehouse.connection, queryOf(feature));
  const sorted = (counts: readonly ExposureCount[]) =>
    counts
      .map((count) => JSON.stringify(count))
      .sort()
      .join();
  if (!fromEvents.ok || sorted(fromEvents.value.counts) !== sorted(counts))
    throw new Error(`States and events return different counts for ${feature}.`);
  return alternate(
    { name: feature, measure: async () => (await countOf(warehouse, feature)).ms },
    { name: "uniqExact", measure: async () => (await warehouse.measure(uniqExactOf(feature))).ms },
    turns,
  );
}

/** Measures the insert of a million events into an open window, and of a million that belong to no window. */
async function compareInserts(warehouse: Events, shape: Shape, turns: number): Promise<Figure> {
  await open(warehouse, "kept");
  const insert = (feature: string) => ({
    name: `insert of 1 M events, ${feature} in states`,
    measure: () => timed(() => warehouse.fill(feature, { ...shape, events: 1_000_000 })),
  });
  const figure = await compare(insert("kept"), insert("not kept"), turns, { unit: "ms", goal: null });
  for (const table of ["events", "exposure_windows", ...TABLES]) await warehouse.command(`TRUNCATE TABLE ${table}`);
  return figure;
}
