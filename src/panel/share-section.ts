import { DAY } from "../exposures/buckets.ts";
import type { ExperimentView } from "./experiment-view.ts";
import { type Markup, markup } from "./markup.ts";

/** The form that creates a share link, and the link that it has just created. */
export function shareSection({ experiment, link, now }: ExperimentView): Markup {
  const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10);
  return markup`<details class="share"${link === null ? "" : markup` open`}><summary>Share</summary>
<form method="post" action="/experiments/${encodeURIComponent(experiment.id)}/share">
<label>Link to <select name="kind"><option value="page">This page</option><option value="svg">Chart (SVG)</option><option value="csv">Data (CSV)</option></select></label>
<label>Valid through (UTC) <input type="date" name="until" required value="${dayOf(now + DAY)}" min="${dayOf(now)}"></label>
<button>Create link</button></form>
${link === null ? "" : markup`<p><label>Anyone with the link can view this <input class="link" readonly value="${link}"></label></p>`}</details>`;
}
