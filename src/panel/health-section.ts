import type { Experiment } from "../experiment.ts";
import { SEVERITY } from "../exposures/health.ts";
import { healthBadge, titleOf } from "./badges.ts";
import { breakdownTable } from "./breakdown-table.ts";
import type { ExperimentView } from "./experiment-view.ts";
import { type Markup, markup } from "./markup.ts";
import { causesOf } from "./parse-causes.ts";
import type { CheckResult, Exposures } from "./parse-exposures.ts";
import { queryDetails } from "./query-details.ts";

export function healthSection(
  view: Pick<ExperimentView, "identitiesQuery" | "shareQuery"> & { experiment: Pick<Experiment, "id"> },
  exposures: Exposures,
): Markup {
  const checks = bySeverity(exposures.health.checks).map(
    (check) =>
      markup`<li>${healthBadge(check.status)} <div><h3>${titleOf(check.name)}</h3><p>${check.detail}</p>${causes(view, check, exposures)}</div></li>`,
  );
  const hasDownload = view.shareQuery === null && exposures.health.checks.some((check) => causesOf(check).length > 0);
  const download = `/v1/experiments/${encodeURIComponent(view.experiment.id)}/causes.csv`;
  return markup`<section class="health" aria-label="Health"><h2>Health</h2><ul>${checks}</ul>
${hasDownload ? markup`<p class="sub">Download causes: <a href="${download}">CSV</a></p>` : ""}</section>`;
}

/** The explanation of a check: a sentence for each cause, the worst one's dimension, and how to list its identities. */
function causes(
  { identitiesQuery }: Pick<ExperimentView, "identitiesQuery">,
  check: CheckResult,
  { variants }: Exposures,
): Markup | "" {
  const summary = check["causes_detail"];
  if (typeof summary !== "string") return "";
  const found = causesOf(check);
  const [worst] = found;
  const query = worst === undefined || worst.value === null ? null : identitiesQuery?.(worst.dimension, worst.value);
  return markup`<p>${summary}</p>
${found.map(({ detail }) => markup`<p>${detail}</p>`)}
${breakdownTable(check, variants)}
${query ? queryDetails("SQL query of its identities", `identities-${check.name}`, query) : ""}`;
}

/** Sorts checks from worst to best. Checks of the same status keep their order. */
export function bySeverity(checks: readonly CheckResult[]): CheckResult[] {
  return checks.toSorted((a, b) => SEVERITY.indexOf(a.status) - SEVERITY.indexOf(b.status));
}
