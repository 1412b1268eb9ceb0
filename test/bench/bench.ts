import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import type { Sizes } from "./bench-sizes.ts";
import type { Figure } from "./turns.ts";

// `npm run bench`: each figure is a ratio to a reference that runs alternately with it. See README.md.

/** Each part is a module that exports `measure`. It is imported only if it runs. */
const PARTS: Record<string, () => Promise<{ measure: (sizes: Sizes) => Promise<Figure[]> }>> = {
  get: () => import("./get.ts"),
  query: () => import("./query.ts"),
  results: () => import("./metrics.ts"),
  breakdown: () => import("./breakdown.ts"),
  shards: () => import("./shards.ts"),
  states: () => import("./states.ts"),
  summary: () => import("./summary.ts"),
  sweep: () => import("./sweep.ts"),
  flagsmith: () => import("./flagsmith.ts"),
  discovery: () => import("./discovery.ts"),
  bundle: () => import("./bundle.ts"),
};

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    turns: { type: "string", default: "5" },
    seconds: { type: "string", default: "4" },
    events: { type: "string", default: "20000000" },
    identities: { type: "string", default: "5000000" },
    experiments: { type: "string", default: "2000" },
    rows: { type: "string", default: "1000000" },
  },
});
const sizes: Sizes = {
  turns: Number(values.turns),
  seconds: Number(values.seconds),
  events: Number(values.events),
  identities: Number(values.identities),
  experiments: Number(values.experiments),
  rows: Number(values.rows),
};

const names = values.only?.split(",") ?? Object.keys(PARTS);
const unknown = names.filter((part) => !(part in PARTS));
if (unknown.length > 0)
  throw new Error(`Unknown parts: ${unknown.join(", ")}. Use --only with ${Object.keys(PARTS).join(", ")}.`);

const parts: Record<string, Figure[]> = {};
for (const name of names) {
  const part = await PARTS[name]?.();
  if (part === undefined) continue;
  parts[name] = await part.measure(sizes);
  console.log(`\n### ${name}\n\n${tableOf(parts[name])}`);
}
const machine = `${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
mkdirSync("dist/bench", { recursive: true });
writeFileSync("dist/bench/bench.json", JSON.stringify({ machine, sizes, parts }, null, 2));
console.log(`\n${machine}. The figures as JSON: dist/bench/bench.json`);

function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { what, against, unit, ours, reference, ratio, range, goal } = figure;
    const [min, max] = range.map(format);
    const target = goal === null ? "" : `${goal.bound === "max" ? "≤" : "≥"} ${format(goal.ratio)}`;
    return `| ${what} | ${format(ours)} ${unit} | ${against} | ${format(reference)} ${unit} | ${format(ratio)} (${min}-${max}) | ${target} |`;
  });
  return [
    "| what | ours | against | reference | ratio (range) | goal |",
    "| --- | ---: | --- | ---: | ---: | ---: |",
    ...rows,
  ].join("\n");
}

function format(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}
