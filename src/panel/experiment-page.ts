import { type Experiment, statusAt } from "../experiment.ts";
import { formatNumber } from "../exposures/format.ts";
import type { StoredSummary } from "../store/summaries.ts";
import { ago, checkTitles, healthBadge, statusBadge, timeOf } from "./badges.ts";
import { drawChart, MARGIN, MAX_LINES, type SeriesName, seriesNames, valuesOf } from "./chart.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { bySeverity, evenlySpaced, type Numbers, readNumbers } from "./numbers.ts";
import { PAGE_PALETTE } from "./palettes.ts";

export type ExperimentView = {
  experiment: Experiment;
  summary: StoredSummary;
  series: SeriesName;
  now: number;
  /** Numbers older than that many sweeps are old, or very old. */
  sweepMs: number;
  /** What whoever looks may do. */
  may: { refresh: boolean; share: boolean };
  /** The query behind the numbers, as text, and what it is bound to. */
  query: { sql: string; parameters: Readonly<Record<string, string | number>> } | null;
  /** What the address of a shared page ends with, for its own links; null: it is not shared. */
  shareQuery: URLSearchParams | null;
  /** A link that has just been made. */
  link: string | null;
  /** What came of what was asked for; null: nothing was. */
  notice: string | null;
};

/** For a wide page and for a phone: the same text would be too small on one of them. */
const CHARTS = [
  { kind: "wide", width: 760, height: 320, maxPoints: 1500 },
  { kind: "narrow", width: 340, height: 240, maxPoints: 750 },
] as const;
const MAX_ROWS = 50;
/** That the script can read out. */
const MAX_VALUES = 1500;

export function experimentPage(view: ExperimentView): Markup {
  const { experiment, summary, now } = view;
  const configured = experiment.variants.map(({ key }) => key);
  const numbers = summary.exposures === null ? null : readNumbers(summary.exposures, configured);
  const status = statusAt(experiment, now);
  return markup`<h1>${safeText(experiment.name)}</h1>
<p class="sub">${safeText(experiment.featureName)} in ${safeText(experiment.environmentKey)} · ${statusBadge(status)} ${
    experiment.startedAt === null ? "" : markup`from ${timeOf(experiment.startedAt)}`
  } ${experiment.endedAt === null ? "" : markup`to ${timeOf(experiment.endedAt)}`}</p>
${view.notice === null ? "" : markup`<p class="problem" role="alert">${view.notice}</p>`}
<div id="live" data-id="${experiment.id}">
${freshness(view, numbers)}
${numbers === null ? withoutNumbers(view, status === "draft") : withNumbers(view, numbers)}
</div>
${view.may.share ? shareForm(view) : ""}
${view.query === null ? "" : queryOf(view.query)}`;
}

function withoutNumbers({ summary }: ExperimentView, isDraft: boolean): Markup {
  if (isDraft) return markup`<p class="empty">Not started: exposures are counted from its start on.</p>`;
  if (summary.lastErrorAt !== null)
    return markup`<p class="empty">N/A: its numbers could not be computed yet. The log says why; it is tried again.</p>`;
  return markup`<p class="empty">N/A: not computed yet. The first numbers come with its first refresh.</p>`;
}

function withNumbers(view: ExperimentView, numbers: Numbers): Markup {
  const isEmpty = numbers.total + numbers.excluded === 0;
  return markup`${headline(view, numbers)}
${isEmpty ? markup`<p class="empty">0: nobody was exposed from its start until then.</p>` : ""}
${chart(view, numbers)}
${balance(view, numbers)}
${health(numbers)}`;
}

function headline({ summary }: ExperimentView, { total, excluded, health }: Numbers): Markup {
  return markup`<dl class="headline">
<div><dt>Identities</dt><dd>${formatNumber(total)}</dd></div>
<div><dt>Excluded</dt><dd>${formatNumber(excluded)}</dd></div>
<div><dt>As of</dt><dd>${summary.asOf === null ? "N/A" : timeOf(summary.asOf)}</dd></div>
<div><dt>Health</dt><dd>${healthBadge(health.status)}</dd></div>
</dl>`;
}

function freshness({ summary, now, sweepMs, may, experiment }: ExperimentView, numbers: Numbers | null): Markup {
  const { asOf, computedAt, lastErrorAt, refreshRequestedAt, isFinal, endedAt } = summary;
  const age = asOf === null || isFinal ? 0 : now - asOf;
  // What has failed is tried again by itself, some time: nobody needs to wait for that.
  const isWaiting = refreshRequestedAt !== null && (lastErrorAt === null || lastErrorAt < refreshRequestedAt);
  const level = age > 12 * sweepMs ? "unhealthy" : age > 4 * sweepMs ? "warning" : "";
  const state = isFinal
    ? "Final: nothing changes any more."
    : endedAt !== null && endedAt <= now
      ? "Over, still settling: late events count."
      : "";
  return markup`<section class="freshness" aria-label="Freshness">
<p>${
    asOf === null || computedAt === null
      ? ""
      : markup`<span class="badge ${level}">as of ${timeOf(asOf)}</span>, computed ${timeOf(computedAt)} (${ago(now - computedAt)}). `
  }${state}</p>
${
  lastErrorAt === null
    ? ""
    : markup`<p class="problem">The last refresh failed at ${timeOf(lastErrorAt)}${numbers === null ? "." : ": these are older numbers."}</p>`
}
${
  may.refresh && !isFinal && experiment.startedAt !== null && experiment.startedAt <= now
    ? markup`<form id="refresh" method="post" action="/experiments/${encodeURIComponent(experiment.id)}/refresh"><button class="primary"${
        isWaiting ? markup` disabled` : ""
      }>${isWaiting ? "Refreshing…" : "Refresh now"}</button> <output role="status"></output></form>`
    : ""
}
</section>`;
}

function chart({ series, experiment, shareQuery }: ExperimentView, numbers: Numbers): Markup {
  const drawn = CHARTS.map(
    ({ kind, ...size }) =>
      markup`<div class="${kind}">${drawChart(numbers, { ...size, series, palette: PAGE_PALETTE, heading: null })}</div>`,
  );
  const page = `/experiments/${encodeURIComponent(experiment.id)}`;
  const tabs = seriesNames.map(
    (name) =>
      markup`<a href="${page}?${new URLSearchParams({ series: name })}${shareQuery === null ? "" : `&${shareQuery}`}"${name === series ? markup` aria-current="true"` : ""}>${name === "new" ? "New" : "Cumulative"}</a>`,
  );
  return markup`<section class="chart" aria-label="Exposures over time">
<div class="tabs"><h2>Exposures over time</h2><span>${tabs}</span></div>
<div class="plot" tabindex="0" role="group" aria-label="Chart: arrow keys read the values of a bucket" data-plot="${plotData(numbers, series)}">${drawn}</div>
<p class="reading" aria-live="polite">&nbsp;</p>
</section>`;
}

/** What the script needs to read the values of a bucket. */
function plotData(numbers: Numbers, series: SeriesName): string {
  const shown = numbers.variants.slice(0, MAX_LINES);
  return JSON.stringify({
    unit: numbers.granularity,
    margin: MARGIN,
    from: numbers.buckets[0],
    to: numbers.buckets.at(-1),
    names: shown.map(({ key }) => safeText(key)),
    points: evenlySpaced(numbers.buckets.length, MAX_VALUES / Math.max(1, shown.length)).map((index) => {
      return [numbers.buckets[index], ...shown.map((variant) => valuesOf(variant, series)[index])];
    }),
  });
}

function balance({ experiment, shareQuery }: ExperimentView, numbers: Numbers): Markup {
  const { total, excluded, variants } = numbers;
  const weights = new Map(experiment.variants.map(({ key, weight }) => [key, weight]));
  const sum = experiment.variants.reduce((sum, { weight }) => sum + weight, 0);
  const shown = variants.slice(0, MAX_ROWS);
  const rows = shown.map((variant, index) => {
    const observed = total === 0 ? null : variant.total / total;
    const weight = weights.get(variant.key);
    const expected = weight === undefined || sum === 0 ? null : weight / sum;
    const difference = observed === null || expected === null ? null : observed - expected;
    return markup`<tr><th scope="row"><svg class="swatch" viewBox="0 0 14 8" width="14" height="8" aria-hidden="true"><path d="M0 4h14" class="s${index % PAGE_PALETTE.lines.length}" stroke="${PAGE_PALETTE.lines[index % PAGE_PALETTE.lines.length] ?? ""}" stroke-width="3"/></svg>${safeText(variant.key)}${
      weight === undefined && weights.size > 0 ? markup` <span class="badge warning">not configured</span>` : ""
    }</th><td class="number">${formatNumber(variant.total)}</td><td class="number">${share(observed)}</td><td class="number">${share(expected)}</td><td class="number">${points(difference)}</td></tr>`;
  });
  const more = variants.length - shown.length;
  return markup`<section aria-label="Balance"><h2>Balance</h2>
<div class="wide-content"><table class="balance">
<thead><tr><th scope="col">Variant</th><th scope="col" class="number">Identities</th><th scope="col" class="number">Observed</th><th scope="col" class="number">Expected</th><th scope="col" class="number">Off by</th></tr></thead>
<tbody>${rows}${more > 0 ? markup`<tr><th scope="row" colspan="5">and ${formatNumber(more)} more: see the CSV</th></tr>` : ""}</tbody>
<tfoot><tr><th scope="row">All</th><td class="number">${formatNumber(total)}</td><td class="number">${share(total === 0 ? null : 1)}</td><td></td><td></td></tr>
<tr><th scope="row">$multiple, in no variant</th><td class="number">${formatNumber(excluded)}</td><td></td><td></td><td></td></tr></tfoot>
</table></div>
${shareQuery === null ? markup`<p class="sub">Download: <a href="/v1/experiments/${encodeURIComponent(experiment.id)}/exposures.csv">CSV</a>, <a href="/v1/experiments/${encodeURIComponent(experiment.id)}/exposures.svg">SVG</a></p>` : ""}</section>`;
}

const shareFormat = new Intl.NumberFormat("en", {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const share = (value: number | null) => (value === null ? "N/A" : shareFormat.format(value));
const pointFormat = new Intl.NumberFormat("en", {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
  signDisplay: "exceptZero",
});
const points = (value: number | null) => (value === null ? "N/A" : pointFormat.format(value));

function health({ health }: Numbers): Markup {
  const checks = bySeverity(health.checks).map(
    ({ name, status, detail }) =>
      markup`<li>${healthBadge(status)} <div><h3>${checkTitles[name]}</h3><p>${detail}</p></div></li>`,
  );
  return markup`<section class="health" aria-label="Health"><h2>Health</h2><ul>${checks}</ul></section>`;
}

function shareForm({ experiment, link, now }: ExperimentView): Markup {
  const tomorrow = new Date(now + 86_400_000).toISOString().slice(0, 10);
  return markup`<details class="share"${link === null ? "" : markup` open`}><summary>Share</summary>
<form method="post" action="/experiments/${encodeURIComponent(experiment.id)}/share">
<label>What <select name="kind"><option value="page">This page</option><option value="svg">The chart (SVG)</option><option value="csv">The numbers (CSV)</option></select></label>
<label>Until the end of <input type="date" name="until" required value="${tomorrow}" min="${new Date(now).toISOString().slice(0, 10)}"></label>
<button>Make a link</button></form>
${link === null ? "" : markup`<p><label>Whoever has it can see just this <input class="link" readonly value="${link}"></label></p>`}</details>`;
}

function queryOf({ sql, parameters }: NonNullable<ExperimentView["query"]>): Markup {
  const bound = Object.entries(parameters).map(([name, value]) => `-- param_${name} = ${JSON.stringify(value)}`);
  return markup`<details class="query"><summary>The query behind the numbers</summary>
<button type="button" class="copy" data-copy="query-text">Copy</button>
<pre><code id="query-text">${[...bound, sql].join("\n")}</code></pre></details>`;
}
