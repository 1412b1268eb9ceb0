import { DAY } from "../exposures/buckets.ts";
import type { ExperimentView } from "./experiment-view.ts";
import { type Markup, markup } from "./markup.ts";
import { dayOf, type ShareKind, shareKinds } from "./share-link.ts";

const LABELS: Record<ShareKind, string> = {
  page: "This page",
  svg: "Exposures (SVG)",
  csv: "Exposures (CSV)",
  "causes.csv": "Causes of failing checks (CSV)",
  "results.svg": "Results (SVG)",
  "results.csv": "Results (CSV)",
};

/**
 * The form that creates a share link, and the link that it has just created.
 * @param lastDay the last day that a link may have
 */
export function shareSection({ experiment, link, now }: ExperimentView, lastDay: string): Markup {
  const hasMetrics = experiment.metrics.length > 0;
  const kinds = shareKinds.filter((kind) => hasMetrics || !kind.startsWith("results"));
  const tomorrow = dayOf(now + DAY);
  const suggested = tomorrow < lastDay ? tomorrow : lastDay;
  return markup`<details class="share"${link === null ? "" : markup` open`}><summary>Share</summary>
<form method="post" action="/experiments/${encodeURIComponent(experiment.id)}/share">
<label>Link to <select name="kind">${kinds.map((kind) => markup`<option value="${kind}">${LABELS[kind]}</option>`)}</select></label>
<label>Valid through (UTC) <input type="date" name="until" required value="${suggested}" min="${dayOf(now)}" max="${lastDay}"></label>
<button>Create link</button></form>
${link === null ? "" : markup`<p><label>Anyone with the link can view this <input class="link" readonly value="${link}"></label></p>`}</details>`;
}
