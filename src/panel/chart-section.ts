import { splitChangeIn } from "../experiment.ts";
import { drawChart, MARGIN, MAX_LINES } from "./chart.ts";
import type { ExperimentView } from "./experiment-view.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { PAGE_PALETTE } from "./palettes.ts";
import type { Exposures } from "./parse-exposures.ts";
import { evenlySpaced } from "./sampling.ts";
import { type SeriesName, seriesNames, valuesOf } from "./series.ts";

/** One chart for a wide page and one for a phone, because the text of a scaled chart would be too small on one of them. */
const CHARTS = [
  { kind: "wide", width: 760, height: 320, maxPoints: 1500 },
  { kind: "narrow", width: 340, height: 240, maxPoints: 750 },
] as const;
/** The max number of values that the page's script can show. */
const MAX_VALUES = 1500;

export function chartSection(
  { series, experiment, summary, shareQuery }: ExperimentView,
  exposures: Exposures,
): Markup {
  const splitChangedAt = splitChangeIn(experiment, summary.asOf);
  const charts = CHARTS.map(
    ({ kind, ...size }) =>
      markup`<div class="${kind}">${drawChart(exposures, { ...size, series, palette: PAGE_PALETTE, heading: null, splitChangedAt })}</div>`,
  );
  const page = `/experiments/${encodeURIComponent(experiment.id)}`;
  const tabs = seriesNames.map(
    (name) =>
      markup`<a href="${page}?${new URLSearchParams({ series: name })}${shareQuery === null ? "" : `&${shareQuery}`}"${name === series ? markup` aria-current="true"` : ""}>${name === "new" ? "New" : "Cumulative"}</a>`,
  );
  return markup`<section class="chart" aria-label="Exposures over time">
<div class="tabs"><h2>Exposures over time</h2><span>${tabs}</span></div>
<div class="plot" tabindex="0" role="group" aria-label="Chart. Use the arrow keys to read the values of each bucket." data-plot="${plotData(exposures, series)}">${charts}</div>
<p class="reading" aria-live="polite">&nbsp;</p>
</section>`;
}

/** The data from which the page's script shows the values of a bucket. */
function plotData(exposures: Exposures, series: SeriesName): string {
  const shown = exposures.variants.slice(0, MAX_LINES);
  return JSON.stringify({
    unit: exposures.granularity,
    margin: MARGIN,
    from: exposures.buckets[0],
    to: exposures.buckets.at(-1),
    names: shown.map(({ key }) => safeText(key)),
    points: evenlySpaced(exposures.buckets.length, MAX_VALUES / Math.max(1, shown.length)).map((index) => {
      return [exposures.buckets[index], ...shown.map((variant) => valuesOf(variant, series)[index])];
    }),
  });
}
