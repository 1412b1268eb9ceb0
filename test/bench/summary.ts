import { DAY } from "../../src/exposures/buckets.ts";
import { checkHealth } from "../../src/exposures/check-health.ts";
import { serialise } from "../../src/exposures/serialise.ts";
import { type ExposureCount, summarise } from "../../src/exposures/summary.ts";
import type { Sizes } from "./bench-sizes.ts";
import { compare, type Figure, timed } from "./turns.ts";

// The time from rows to buckets, summary and text, and whether it is linear in the number of rows.

const FROM = Date.UTC(2000, 0);
const encoder = new TextEncoder();
const SHAPES = [1000, 100, 4];

export async function measure({ turns, rows }: Sizes): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const variants of SHAPES) {
    const shape = `${rows.toLocaleString("en")} rows, ${variants} variants`;
    const all = prepare(rows, variants);
    const ours = { name: shape, measure: all.summarise };
    const oneSecond = { name: "a second", measure: async () => 1000 };
    figures.push(await compare(ours, oneSecond, turns, { unit: "ms", goal: { bound: "max", ratio: 1 } }));
    const read = { name: "JSON.parse of the rows", measure: all.read };
    figures.push(await compare(ours, read, turns, { unit: "ms", goal: null }));
    const tenth = { name: "a tenth of them", measure: prepare(rows / 10, variants).summarise };
    figures.push(await compare(ours, tenth, turns, { unit: "ms", goal: { bound: "max", ratio: 13 } }));
  }
  // A string is at most 512 MiB, so ten of the rows go into one number here.
  const name = `${(10 * rows).toLocaleString("en")} rows, 100 variants`;
  const tenfold = { name, measure: prepare(10 * rows, 100, 10).summarise };
  const tenth = { name: "a tenth of them", measure: prepare(rows, 100, 10).summarise };
  figures.push(await compare(tenfold, tenth, turns, { unit: "ms", goal: null }));
  return figures;
}

/** Rows in random order as ClickHouse returns them, one or more for each variant and day. */
function prepare(rows: number, variants: number, rowsPerNumber = 1) {
  const days = rows / variants / rowsPerNumber;
  const counts: ExposureCount[] = Array.from({ length: rows }, (_, index) => {
    // A step that is coprime to the number of rows visits all of them.
    const place = (index * 7_919) % rows;
    return {
      multiple: false,
      variant: `variant-${Math.floor(place / days) % variants}`,
      bucket: FROM + (place % days) * DAY,
      identities: 1 + (index % 1000),
    };
  });
  counts.push({ multiple: true, identities: 7 });
  const window = { from: FROM, to: FROM + days * DAY };
  const configured = Array.from({ length: Math.min(variants, 10) }, (_, index) => `variant-${index}`);
  let json: string | null = null;
  const toText = () => {
    const summary = summarise(counts, window, configured);
    const variants = configured.map((key) => ({ key, weight: 1 }));
    const collection = { latestExposureAt: window.to - 1, lateIdentities: 0, invalidEvents: 0, events: 0 };
    const fixed = { countedAt: window.to, isRunning: true, weightsChangedAt: null, eventsTtlDays: 0 };
    return serialise(summary, checkHealth({ ...fixed, window, variants, summary, collection }));
  };
  return {
    // Includes the bytes, as a refresh needs them: until then V8 has not joined the pieces of the text.
    summarise: () => timed(async () => void encoder.encode(toText())),
    read: () => {
      json ??= JSON.stringify(counts);
      const text = json;
      return timed(async () => void JSON.parse(text));
    },
  };
}
