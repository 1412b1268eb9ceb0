import { splitChangeIn } from "../experiment.ts";
import { formatIdentities, formatNumber, formatPercent } from "../format.ts";
import type { ReadResults } from "../http/results-json.ts";
import type { MetricResult, Results } from "../results/compute-results.ts";
import { conclude } from "../results/conclusion.ts";
import { describeConclusion } from "../results/describe-conclusion.ts";
import {
  describeAggregation,
  describeDirection,
  formatChance,
  formatInterval,
  formatLift,
  formatMean,
  formatWait,
} from "../results/format-results.ts";
import { sensitivityOf } from "../results/sensitivity.ts";
import type { Verdict } from "../results/verdict.ts";
import { timeOf } from "./badges.ts";
import type { ExperimentView } from "./experiment-view.ts";
import { drawAxisLabels, drawInterval, type IntervalAxis, intervalAxisOf } from "./interval-axis.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { identitiesPerDay } from "./pace.ts";
import { PAGE_PALETTE } from "./palettes.ts";
import type { Exposures } from "./parse-exposures.ts";

const AXIS = { width: 280, height: 28, palette: PAGE_PALETTE };
/** Keeps the page small. The CSV has all variants. */
const MAX_ROWS = 60;
const LIFTS = [0.1, 0.05, 0.02];

/** The results of an experiment with metrics: what they say, the figures of each metric, and how sure they can get. */
export function resultsSection(view: ExperimentView, read: ReadResults, exposures: Exposures): Markup | "" {
  if (view.experiment.metrics.length === 0) return "";
  const { results, asOf } = read;
  const splitChangedAt = splitChangeIn(view.experiment, asOf);
  return markup`<section class="results" aria-label="Results"><h2>Results</h2>
${results === null ? "" : banner(results, exposures)}
${freshness(view, read)}
${splitChangedAt === null ? "" : splitChange(splitChangedAt)}
${results === null ? "" : figures(view, results, exposures)}</section>`;
}

function banner(results: Results, exposures: Exposures): Markup {
  const conclusion = conclude(results, exposures.health.status !== "unhealthy");
  const { warning, title, sentences } = describeConclusion(conclusion, safeText);
  const tone = conclusion.isTrusted ? conclusion.kind : "unhealthy";
  return markup`<div class="banner ${tone}">${warning === null ? "" : markup`<p><strong>${warning}</strong></p>`}
<p><strong>${title}</strong></p>${sentences.map((sentence) => markup`<p>${sentence}</p>`)}</div>`;
}

/** The freshness of the results, where it differs from that of the exposures. */
function freshness({ summary, experiment }: ExperimentView, { asOf, lastErrorAt, results }: ReadResults): Markup | "" {
  const failure =
    lastErrorAt === null || summary.lastErrorAt !== null
      ? ""
      : markup`<p class="problem">The last computation of the results failed at ${timeOf(lastErrorAt)}. The log shows the cause.</p>`;
  if (results === null)
    return markup`${failure}<p class="empty">N/A: not computed yet. Results appear after the next refresh.</p>`;
  const missing = experiment.metrics.length - results.metrics.length;
  return markup`${failure}${
    asOf === null || asOf === summary.asOf ? "" : markup`<p>The results are as of ${timeOf(asOf)}.</p>`
  }${
    missing === 0
      ? ""
      : markup`<p>${missing === 1 ? "1 metric is" : `${formatNumber(missing)} metrics are`} not computed yet.</p>`
  }`;
}

/** The warning that the weights have changed. */
function splitChange(changedAt: number): Markup {
  return markup`<p>The weights changed at ${timeOf(changedAt)}, so results mix periods with different splits. If the metric also changes over time, the comparison is biased (Simpson's paradox): keep the split fixed, or start a new experiment for a new one.</p>`;
}

function figures(view: ExperimentView, results: Results, exposures: Exposures): Markup {
  const axis = intervalAxisOf(results);
  const rows = results.metrics.reduce((sum, { variants }) => sum + variants.size, 0);
  const perMetric = Math.max(2, Math.floor(MAX_ROWS / results.metrics.length));
  const isEnded = view.experiment.endedAt !== null && view.experiment.endedAt <= view.now;
  const pace = isEnded ? null : identitiesPerDay(exposures, view.summary.asOf ?? view.now);
  const path = `/v1/experiments/${encodeURIComponent(view.experiment.id)}/results`;
  return markup`<table class="metrics" role="table"><colgroup><col><col><col><col><col></colgroup>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Variant</th><th scope="col" role="columnheader" class="number">Value</th><th scope="col" role="columnheader" class="number">Lift</th><th scope="col" role="columnheader">95% interval, valid at every look</th><th scope="col" role="columnheader">Verdict</th></tr></thead>
${results.metrics.map((metric) => metricRows(metric, results.control, axis, perMetric))}
</table>
${rows > MAX_ROWS ? markup`<p class="sub">Not all variants are shown. The CSV has all of them.</p>` : ""}
${results.control === null ? "" : sensitivityList(results, results.control, pace, isEnded)}
<p class="sub">Verdicts follow the interval, which is valid for any number of looks: for each metric, at most 5% of experiments without a true difference ever show one. The chance to win is Flagsmith's figure and is valid for a single planned look only.</p>
${view.shareQuery === null ? markup`<p class="sub">Download results: <a href="${path}.csv">CSV</a>, <a href="${path}.svg">SVG</a></p>` : ""}`;
}

function metricRows(result: MetricResult, control: string | null, axis: IntervalAxis, maxRows: number): Markup {
  const { metric, invalidValues, variants, comparisons } = result;
  const order = [...variants].toSorted(([a], [b]) => Number(b === control) - Number(a === control));
  const head = markup`<tr role="row" class="metric"><th scope="rowgroup" role="rowheader" colspan="3"><strong>${safeText(metric.name)}</strong>
<span class="sub">${describeAggregation(metric.aggregation)} (${safeText(metric.event)}), ${describeDirection(metric.expectedDirection)}</span>${
    invalidValues === 0
      ? ""
      : markup`<span class="sub">${formatNumber(invalidValues)} ${invalidValues === 1 ? "value is not a number and is" : "values are not numbers and are"} ignored.</span>`
  }</th><td role="cell" class="axis"><svg viewBox="0 0 ${AXIS.width} 16" width="${AXIS.width}" height="16" font-size="11" aria-hidden="true">${drawAxisLabels(axis, { ...AXIS, height: 16 })}</svg></td><td role="cell"></td></tr>`;
  const rows = order.slice(0, maxRows).map(([variant, { identities, mean }]) => {
    const comparison = comparisons.get(variant) ?? null;
    return markup`<tr role="row"><th scope="row" role="rowheader">${safeText(variant)}<span class="sub">${formatIdentities(identities)}</span></th>
<td role="cell" class="number" data-label="Value">${formatMean(metric.aggregation, mean)}</td>
${
  comparison === null
    ? markup`<td role="cell" class="number" data-label="Lift">${variant === control ? "" : "N/A"}</td><td role="cell" class="axis"></td><td role="cell">${variant === control ? "control" : "not compared"}</td>`
    : markup`<td role="cell" class="number" data-label="Lift">${comparison.lift === null ? "N/A" : formatLift(comparison.lift)}</td>
<td role="cell" class="axis"><svg viewBox="0 0 ${AXIS.width} ${AXIS.height}" width="${AXIS.width}" height="${AXIS.height}" aria-hidden="true">${drawInterval(axis, comparison, AXIS)}</svg><span class="sub">${comparison.interval === null ? "N/A" : formatInterval(comparison.interval)}${
        comparison.varianceReduction === null
          ? ""
          : `, variance reduced by ${Math.round(comparison.varianceReduction * 100)}%`
      }</span></td>
<td role="cell">${verdictBadge(comparison.verdict)}${
        comparison.chanceToWin === null
          ? ""
          : markup`<span class="sub">chance to win ${formatChance(comparison.chanceToWin)}</span>`
      }</td>`
}</tr>`;
  });
  return markup`<tbody role="rowgroup">${head}${rows}</tbody>`;
}

const TONES: Partial<Record<Verdict, string>> = { winning: "healthy", losing: "unhealthy", harmed: "unhealthy" };

function verdictBadge(verdict: Verdict): Markup {
  return markup`<span class="badge ${TONES[verdict] ?? ""}">${verdict}</span>`;
}

/** The lifts that can be detected now, and the days until smaller ones can be. */
function sensitivityList(results: Results, control: string, pace: number | null, isEnded: boolean): Markup | "" {
  const items = results.metrics.flatMap((result) => {
    const sensitivity = sensitivityOf(result, control, pace, LIFTS);
    if (sensitivity === null) return [];
    const { lift } = sensitivity;
    const waits = [...sensitivity.days].map(([lift, days]) => `${formatPercent(lift)} ${formatWait(days)}`);
    const byNow =
      lift === null
        ? "no lift can be detected yet"
        : `a lift of \u00b1${formatPercent(lift)} or more can be detected now`;
    return [
      markup`<li>${safeText(result.metric.name)}: ${byNow}.${
        waits.length === 0 || isEnded ? "" : ` At today's pace, ${waits.join(", ")}.`
      }</li>`,
    ];
  });
  if (items.length === 0) return "";
  const rate = pace === null ? "" : ` (today's pace: ${formatNumber(pace)} new identities a day)`;
  return markup`<details class="sensitivity" open><summary>Minimum detectable lift${rate}</summary><ul>${items}</ul></details>`;
}
