import { statusAt } from "../experiment.ts";
import { formatNumber } from "../format.ts";
import { readResults } from "../http/results-json.ts";
import { healthBadge, statusBadge, timeOf } from "./badges.ts";
import { balanceSection } from "./balance-section.ts";
import { chartSection } from "./chart-section.ts";
import { experimentActions } from "./experiment-actions.ts";
import type { ExperimentView } from "./experiment-view.ts";
import { sourceSection } from "./flagsmith-section.ts";
import { freshnessSection } from "./freshness-section.ts";
import { healthSection } from "./health-section.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { type Exposures, parseExposures } from "./parse-exposures.ts";
import { queryDetails } from "./query-details.ts";
import { resultsSection } from "./results-section.ts";
import { shareSection } from "./share-section.ts";

export function experimentPage(view: ExperimentView): Markup {
  const { experiment, summary, now } = view;
  const configuredKeys = experiment.variants.map(({ key }) => key);
  const exposures = summary.exposures === null ? null : parseExposures(summary.exposures, configuredKeys);
  const status = statusAt(experiment, now);
  return markup`<h1>${safeText(experiment.name)}</h1>
<p class="sub">${safeText(experiment.featureName)} in ${safeText(experiment.environmentKey)} · ${statusBadge(status)} ${
    experiment.startedAt === null ? "" : markup`from ${timeOf(experiment.startedAt)}`
  } ${experiment.endedAt === null ? "" : markup`to ${timeOf(experiment.endedAt)}`}${
    experiment.weightsChangedAt === null ? "" : markup` · weights changed ${timeOf(experiment.weightsChangedAt)}`
  }</p>
${view.flagsmith === null ? "" : sourceSection(experiment, view.flagsmith, now)}
${view.may.write && experiment.source === "api" ? experimentActions(view) : ""}
${view.notice === null ? "" : markup`<p class="problem" role="alert">${view.notice}</p>`}
<div id="live" data-id="${experiment.id}">
${freshnessSection(view)}
${exposures === null ? emptyState(view, status === "draft") : sections(view, exposures)}
</div>
${view.may.shareUntil === null ? "" : shareSection(view, view.may.shareUntil)}
${view.query === null ? "" : queryDetails("SQL query", "query-text", view.query)}`;
}

function emptyState({ summary }: ExperimentView, isDraft: boolean): Markup {
  if (isDraft) return markup`<p class="empty">Not started. Counting begins when the experiment starts.</p>`;
  if (summary.lastErrorAt !== null)
    return markup`<p class="empty">N/A: no refresh has succeeded yet. Retries are automatic; the log shows the cause.</p>`;
  return markup`<p class="empty">N/A: not computed yet. Numbers appear after the first refresh.</p>`;
}

function sections(view: ExperimentView, exposures: Exposures): Markup {
  const isEmpty = exposures.total + exposures.excluded === 0;
  return markup`${headline(view, exposures)}
${resultsSection(view, readResults(view.summary), exposures)}
${isEmpty ? markup`<p class="empty">No exposures recorded.</p>` : ""}
${chartSection(view, exposures)}
${balanceSection(view, exposures)}
${healthSection(view, exposures)}`;
}

function headline({ summary }: ExperimentView, { total, excluded, health }: Exposures): Markup {
  return markup`<dl class="headline">
<div><dt>Identities</dt><dd>${formatNumber(total)}</dd></div>
<div><dt>Excluded</dt><dd>${formatNumber(excluded)}</dd></div>
<div><dt>As of</dt><dd>${summary.asOf === null ? "N/A" : timeOf(summary.asOf)}</dd></div>
<div><dt>Health</dt><dd>${healthBadge(health.status)}</dd></div>
</dl>`;
}
