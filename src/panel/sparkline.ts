import { type Markup, markup } from "./markup.ts";
import type { Exposures } from "./parse-exposures.ts";
import { evenlySpaced } from "./sampling.ts";
import { linearScale, roundPixels } from "./scale.ts";

const WIDTH = 96;
const HEIGHT = 24;
const MAX_POINTS = 48;

/** Draws the growth of the number of identities, small enough for a table row. */
export function drawSparkline({ buckets, variants }: Exposures): Markup {
  const totals = evenlySpaced(buckets.length, MAX_POINTS).map((bucket) =>
    variants.reduce((sum, { cumulative }) => sum + (cumulative[bucket] ?? 0), 0),
  );
  if (totals.length === 0) return markup``;
  const x = linearScale([0, Math.max(1, totals.length - 1)], [1, WIDTH - 1]);
  const y = linearScale([0, Math.max(1, ...totals)], [HEIGHT - 2, 2]);
  const points = totals.map((total, index) => `${roundPixels(x.at(index))},${roundPixels(y.at(total))}`);
  return markup`<svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" aria-hidden="true"><path d="M${points.join("L")}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>`;
}
