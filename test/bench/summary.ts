import { DAY } from "../../src/exposures/buckets.ts";
import { checkHealth } from "../../src/exposures/check-health.ts";
import { serialise } from "../../src/exposures/serialise.ts";
import { type ExposureCount, summarise } from "../../src/exposures/summary.ts";
import type { Sizes } from "./bench.ts";
import { compare, type Figure, timed } from "./turns.ts";

// Rows become buckets, a summary and its text: in how much time, and is ten times as much ten times as long?

const FROM = Date.UTC(2000, 0);
const encoder = new TextEncoder();
const SHAPES = [1000, 100, 4];

export async function measure({ turns, rows }: Sizes): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const variants of SHAPES) {
    const shape = `${rows.toLocaleString("en")} rows, ${variants} variants`;
    const once = shaped(rows, variants);
    const ours = { name: shape, measure: once.summarise };
    const second = { name: "a second", measure: async () => 1000 };
    figures.push(await compare(ours, second, turns, { unit: "ms", goal: { at: "most", ratio: 1 } }));
    const read = { name: "JSON.parse of the rows", measure: once.read };
    figures.push(await compare(ours, read, turns, { unit: "ms", goal: null }));
    const tenth = { name: "a tenth of them", measure: shaped(rows / 10, variants).summarise };
    figures.push(await compare(ours, tenth, turns, { unit: "ms", goal: { at: "most", ratio: 13 } }));
  }
  // No text may be longer than 512 MiB: of ten times as many rows, ten go into one number.
  const name = `${(10 * rows).toLocaleString("en")} rows, 100 variants`;
  const tenfold = { name, measure: shaped(10 * rows, 100, 10).summarise };
  const once = { name: "a tenth of them", measure: shaped(rows, 100, 10).summarise };
  figures.push(await compare(tenfold, once, turns, { unit: "ms", goal: null }));
  return figures;
}

/** So many rows, one or more for each variant and day, in no order, as ClickHouse returns them. */
function shaped(rows: number, variants: number, rowsANumber = 1) {
  const days = rows / variants / rowsANumber;
  const counts: ExposureCount[] = Array.from({ length: rows }, (_, index) => {
    // A step that shares no divisor with the rows goes through all of them.
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
  let text: string | null = null;
  const textOfAll = () => {
    const summary = summarise(counts, window, configured);
    const variants = configured.map((key) => ({ key, weight: 1 }));
    const collection = { latestExposureAt: window.to - 1, lateIdentities: 0, invalidEvents: 0, events: 0 };
    const isRunning = true;
    return serialise(summary, checkHealth({ window, isRunning, variants, summary, collection, eventsTtlDays: 0 }));
  };
  return {
    // With its bytes, as a refresh needs them: until then V8 has not put the text's pieces together.
    summarise: () => timed(async () => void encoder.encode(textOfAll())),
    read: () => {
      text ??= JSON.stringify(counts);
      const json = text;
      return timed(async () => void JSON.parse(json));
    },
  };
}
