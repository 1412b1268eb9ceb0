import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import type { Figure } from "./turns.ts";

// `npm run bench`: each figure is a ratio against a reference that runs in turns with it; see README.md.

/** Sizes, all by argument: `npm run bench -- --only query --events 2000000`. */
const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    turns: { type: "string", default: "5" },
    experiments: { type: "string", default: "2000" },
    rows: { type: "string", default: "1000000" },
  },
});

export type Sizes = { turns: number; experiments: number; rows: number };

/** Each part is a module that exports `measure`; loaded only if it is asked for. */
const PARTS: Record<string, () => Promise<{ measure: (sizes: Sizes) => Promise<Figure[]> }>> = {
  sweep: () => import("./sweep.ts"),
  summary: () => import("./summary.ts"),
};

const wanted = options.only === "" ? Object.keys(PARTS) : options.only.split(",");
const unknown = wanted.filter((part) => !(part in PARTS));
if (unknown.length > 0) throw new Error(`--only takes ${Object.keys(PARTS).join(", ")}, not ${unknown.join(", ")}`);

const parts: Record<string, Figure[]> = {};
for (const name of wanted) {
  const part = await PARTS[name]?.();
  if (part === undefined) continue;
  const { turns, experiments, rows } = options;
  parts[name] = await part.measure({ turns: Number(turns), experiments: Number(experiments), rows: Number(rows) });
  console.log(`\n### ${name}\n\n${tableOf(parts[name])}`);
}
const machine = `${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
mkdirSync("dist/bench", { recursive: true });
writeFileSync("dist/bench/bench.json", JSON.stringify({ machine, parts }, null, 2));
console.log(`\n${machine}; the same as JSON: dist/bench/bench.json`);

function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { what, against, unit, ours, reference, ratio, range, goal } = figure;
    const [least, most] = range.map(short);
    const aim = goal === null ? "" : `${goal.at === "most" ? "≤" : "≥"} ${goal.ratio}`;
    return `| ${what} | ${short(ours)} ${unit} | ${against} | ${short(reference)} ${unit} | ${short(ratio)} (${least}-${most}) | ${aim} |`;
  });
  return [
    "| what | ours | against | reference | ratio (range) | goal |",
    "| --- | ---: | --- | ---: | ---: | ---: |",
    ...rows,
  ].join("\n");
}

function short(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}
