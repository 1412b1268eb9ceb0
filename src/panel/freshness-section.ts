import type { Experiment } from "../experiment.ts";
import { IDLE_INTERVAL_MS } from "../exposures/idle.ts";
import type { StoredSummary } from "../store/summaries.ts";
import { ago, timeOf } from "./badges.ts";
import type { ExperimentView } from "./experiment-view.ts";
import { type Markup, markup } from "./markup.ts";

/** The age of the numbers, whether they can still change, the last failure, and the refresh button. */
export function freshnessSection({ summary, now, sweepMs, may, experiment }: ExperimentView): Markup {
  const { lastErrorAt, isFinal, exposures } = summary;
  const hasStarted = experiment.startedAt !== null && experiment.startedAt <= now;
  return markup`<section class="freshness" aria-label="Freshness">
<p>${ageOf(summary, now, sweepMs)}${stageOf(summary, now)}</p>
${
  lastErrorAt === null
    ? ""
    : markup`<p class="problem">The last refresh failed at ${timeOf(lastErrorAt)}.${exposures === null ? "" : " The numbers below are older."}</p>`
}
${may.write && hasStarted ? (isFinal ? recountForm(experiment, summary) : refreshForm(experiment, summary)) : ""}
</section>`;
}

function ageOf(summary: StoredSummary, now: number, sweepMs: number): Markup | "" {
  const { asOf, computedAt, isFinal, isIdle, experiment } = summary;
  if (asOf === null || computedAt === null) return "";
  // Numbers are never as of a time after the end, however often they are computed.
  const isOfWhole = experiment.endedAt !== null && asOf >= experiment.endedAt;
  const age = isFinal ? 0 : now - (isOfWhole ? computedAt : asOf);
  const interval = isIdle ? Math.max(sweepMs, IDLE_INTERVAL_MS) : sweepMs;
  const level = age > 12 * interval ? "unhealthy" : age > 4 * interval ? "warning" : "";
  return markup`<span class="badge ${level}">as of ${timeOf(asOf)}</span>, computed ${timeOf(computedAt)} (${ago(now - computedAt)}). `;
}

function stageOf({ isFinal, experiment: { endedAt } }: StoredSummary, now: number): string {
  if (isFinal) return "Final: these numbers no longer change.";
  return endedAt !== null && endedAt <= now ? "Settling: the experiment has ended, but late events still count." : "";
}

function recountForm({ id }: Experiment, { refreshRequestedAt }: StoredSummary): Markup {
  if (refreshRequestedAt !== null) return markup`<p>A recount is requested. Until it succeeds, these numbers stay.</p>`;
  return markup`<form method="post" action="/experiments/${encodeURIComponent(id)}/recount"><button>Recount</button></form>`;
}

function refreshForm({ id }: Experiment, { refreshRequestedAt, lastErrorAt }: StoredSummary): Markup {
  // After a failure the button is enabled again, because the retry may be minutes away.
  const isPending = refreshRequestedAt !== null && (lastErrorAt === null || lastErrorAt < refreshRequestedAt);
  return markup`<form id="refresh" method="post" action="/experiments/${encodeURIComponent(id)}/refresh"><button class="primary"${
    isPending ? markup` disabled` : ""
  }>${isPending ? "Refreshing…" : "Refresh now"}</button> <output role="status"></output></form>`;
}
