import { parseArgs } from "node:util";
import type { SimulationSizes } from "./simulation-sizes.ts";

// `npm run simulate`: how often the statistics are wrong under repeated looks, and how soon they are right. The random
// numbers are seeded: the same arguments always print the same tables. See README.md.

/** Each part is a module that exports `simulate`, which prints its tables. It is imported only if it runs. */
const PARTS: Record<string, () => Promise<{ simulate: (sizes: SimulationSizes) => void }>> = {
  "sample-ratio": () => import("./sample-ratio.ts"),
  results: () => import("./results.ts"),
  causes: () => import("./causes.ts"),
};

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seed: { type: "string", default: "20261124" },
    experiments: { type: "string", default: "2000" },
  },
});
const sizes: SimulationSizes = { seed: Number(values.seed), experiments: Number(values.experiments) };

const names = values.only?.split(",") ?? Object.keys(PARTS);
const unknown = names.filter((part) => !(part in PARTS));
if (unknown.length > 0)
  throw new Error(`Unknown parts: ${unknown.join(", ")}. Use --only with ${Object.keys(PARTS).join(", ")}.`);

for (const name of names) {
  const started = performance.now();
  console.log(`\n### ${name}\n`);
  (await PARTS[name]?.())?.simulate(sizes);
  console.log(`\nThis took ${((performance.now() - started) / 1000).toFixed(0)} s.`);
}
