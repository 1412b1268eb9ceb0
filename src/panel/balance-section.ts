import type { Variant } from "../experiment.ts";
import { formatNumber } from "../format.ts";
import { timeOf } from "./badges.ts";
import type { ExperimentView } from "./experiment-view.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { PAGE_PALETTE } from "./palettes.ts";
import type { Exposures } from "./parse-exposures.ts";

const MAX_ROWS = 50;

/** The identities of each variant, compared with the configured weights, and the downloads. */
export function balanceSection({ experiment, shareQuery }: ExperimentView, exposures: Exposures): Markup {
  const { total, excluded, variants } = exposures;
  const more = variants.length - MAX_ROWS;
  const downloads = `/v1/experiments/${encodeURIComponent(experiment.id)}/exposures`;
  return markup`<section aria-label="Balance"><h2>Balance</h2>
<div class="wide-content"><table class="balance">
<thead><tr><th scope="col">Variant</th><th scope="col" class="number">Identities</th><th scope="col" class="number">Observed</th><th scope="col" class="number">Expected</th><th scope="col" class="number">Diff</th></tr></thead>
<tbody>${rowsOf(exposures, experiment.variants)}${more > 0 ? markup`<tr><th scope="row" colspan="5">and ${formatNumber(more)} more in the CSV</th></tr>` : ""}</tbody>
<tfoot><tr><th scope="row">Total</th><td class="number">${formatNumber(total)}</td><td class="number">${formatShare(total === 0 ? null : 1)}</td><td></td><td></td></tr>
<tr><th scope="row">$multiple (excluded)</th><td class="number">${formatNumber(excluded)}</td><td></td><td></td><td></td></tr></tfoot>
</table></div>
${experiment.weightsChangedAt === null ? "" : markup`<p class="sub">Expected follows the weights since ${timeOf(experiment.weightsChangedAt)}.</p>`}
${shareQuery === null ? markup`<p class="sub">Download: <a href="${downloads}.csv">CSV</a>, <a href="${downloads}.svg">SVG</a></p>` : ""}</section>`;
}

function rowsOf({ total, variants }: Exposures, configured: readonly Variant[]): Markup[] {
  // The sum of large weights would be infinite.
  const largest = configured.reduce((largest, { weight }) => Math.max(largest, weight), 0);
  const weights = new Map(configured.map(({ key, weight }) => [key, largest === 0 ? 0 : weight / largest]));
  const sum = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  return variants.slice(0, MAX_ROWS).map((variant, index) => {
    const observed = total === 0 ? null : variant.total / total;
    const weight = weights.get(variant.key);
    const expected = weight === undefined || sum === 0 ? null : weight / sum;
    const difference = observed === null || expected === null ? null : observed - expected;
    return markup`<tr><th scope="row">${swatch(index)}${safeText(variant.key)}${
      weight === undefined && weights.size > 0 ? markup` <span class="badge warning">not configured</span>` : ""
    }</th><td class="number">${formatNumber(variant.total)}</td><td class="number">${formatShare(observed)}</td><td class="number">${formatShare(expected)}</td><td class="number">${formatDifference(difference)}</td></tr>`;
  });
}

function swatch(index: number): Markup {
  const color = index % PAGE_PALETTE.lines.length;
  return markup`<svg class="swatch" viewBox="0 0 14 8" width="14" height="8" aria-hidden="true"><path d="M0 4h14" class="s${color}" stroke="${PAGE_PALETTE.lines[color] ?? ""}" stroke-width="3"/></svg>`;
}

const percentage = { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 } as const;
const share = new Intl.NumberFormat("en", percentage);
const signedShare = new Intl.NumberFormat("en", { ...percentage, signDisplay: "exceptZero" });
const formatShare = (value: number | null) => (value === null ? "N/A" : share.format(value));
const formatDifference = (value: number | null) => (value === null ? "N/A" : signedShare.format(value));
