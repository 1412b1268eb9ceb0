import { type Status, statusAt, statuses } from "../experiment.ts";
import { formatNumber } from "../format.ts";
import { type ExperimentListEntry, PAGE_SIZE } from "../store/experiment-list.ts";
import { ago, healthBadge, statusBadge } from "./badges.ts";
import { type FlagsmithView, flagsmithSettings, flagsmithStatus } from "./flagsmith-section.ts";
import { type Markup, markup, safeText } from "./markup.ts";
import { parseExposures } from "./parse-exposures.ts";
import { drawSparkline } from "./sparkline.ts";

export type ListView = {
  shown: readonly ExperimentListEntry[];
  isLast: boolean;
  environments: readonly string[];
  filter: { environmentKey: string | null; status: Status | null; search: string | null; page: number };
  may: { write: boolean; admin: boolean };
  /** The section about the warehouse; empty: nothing to show. */
  warehouse: Markup | "";
  flagsmith: FlagsmithView;
  now: number;
};

export function listPage({ shown, isLast, environments, filter, may, warehouse, flagsmith, now }: ListView): Markup {
  const isFiltered = filter.environmentKey !== null || filter.status !== null || filter.search !== null;
  if (shown.length === 0 && !isFiltered && filter.page === 0)
    return markup`<h1>Experiments</h1>
${linksFor(may)}
<p class="empty">No experiments yet.</p>
${warehouse}
${flagsmithStatus(flagsmith, now)}
${may.write ? flagsmithSettings(flagsmith) : ""}
${howToCreate}`;
  return markup`<h1>Experiments</h1>
${linksFor(may)}
<form class="filter" role="search">
<label>Search <input type="search" name="search" value="${filter.search ?? ""}" placeholder="Name, feature or ID"></label>
<label>Environment <select name="environment"><option value="">All</option>${environments.map((key) => option(key, key, filter.environmentKey))}</select></label>
<label>Status <select name="status"><option value="">All</option>${statuses.map((status) => option(status, status, filter.status))}</select></label>
<button>Filter</button>
</form>
${shown.length === 0 ? markup`<p class="empty">No experiments found. <a href="/">Show all</a></p>` : tableOf(shown, now)}
${pagination(filter, shown.length, isLast)}
${flagsmithStatus(flagsmith, now)}
${warehouse}`;
}

const howToCreate = markup`<details><summary>Create an experiment with the API</summary>
<pre><code>curl -X PUT https://…/v1/experiments/checkout-cta \\
  -H 'Authorization: Bearer …' -H 'Content-Type: application/json' -d '{
    "name": "Checkout CTA",
    "environment_key": "env_abc",
    "feature_name": "checkout_button",
    "variants": [{ "key": "control", "weight": 50 }, { "key": "treatment", "weight": 50 }],
    "started_at": "2026-06-01T00:00:00.000Z" }'</code></pre>
<p>Its numbers appear after the first refresh, which starts at once. <a href="/docs">API reference</a></p></details>`;

function linksFor({ write, admin }: ListView["may"]): Markup | "" {
  if (!write) return "";
  return markup`<p class="actions"><a href="/new">New experiment</a><a href="/warehouse">Warehouse</a>${admin ? markup`<a href="/api-keys">API keys</a>` : ""}</p>`;
}

function option(value: string, label: string, selected: string | null): Markup {
  return markup`<option value="${value}"${value === selected ? markup` selected` : ""}>${label}</option>`;
}

function tableOf(shown: readonly ExperimentListEntry[], now: number): Markup {
  return markup`<table class="experiments"><colgroup><col><col><col><col><col><col></colgroup>
<thead><tr><th scope="col">Experiment</th><th scope="col">Status</th><th scope="col">Trend</th><th scope="col" class="number">Identities</th><th scope="col">Health</th><th scope="col">Updated</th></tr></thead>
<tbody>${shown.map((listed) => rowOf(listed, now))}</tbody>
</table>`;
}

function rowOf({ experiment, asOf, lastErrorAt, exposures }: ExperimentListEntry, now: number): Markup {
  const { id, name, source, featureName, environmentKey, variants } = experiment;
  const configuredKeys = variants.map(({ key }) => key);
  const parsed = exposures === null ? null : parseExposures(exposures, configuredKeys);
  const age = asOf === null ? "not computed yet" : ago(now - asOf);
  return markup`<tr>
<th scope="row"><a href="/experiments/${encodeURIComponent(id)}">${safeText(name)}</a><span class="sub">${safeText(featureName)} in ${safeText(environmentKey)}${source === "flagsmith" ? ", from Flagsmith" : ""}</span></th>
<td>${statusBadge(statusAt(experiment, now))}</td>
<td class="trend">${parsed === null ? "" : drawSparkline(parsed)}</td>
<td class="number" data-label="identities">${parsed === null ? "N/A" : formatNumber(parsed.total)}</td>
<td>${parsed === null ? "" : healthBadge(parsed.health.status)}</td>
<td>${age}${lastErrorAt === null ? "" : markup` <span class="badge warning">refresh failed</span>`}</td>
</tr>`;
}

function pagination(filter: ListView["filter"], count: number, isLast: boolean): Markup | string {
  if (filter.page === 0 && isLast) return "";
  const { page } = filter;
  const urlOf = (page: number) => {
    const query = new URLSearchParams();
    if (filter.search !== null) query.set("search", filter.search);
    if (filter.environmentKey !== null) query.set("environment", filter.environmentKey);
    if (filter.status !== null) query.set("status", filter.status);
    if (page > 0) query.set("page", String(page + 1));
    return `/?${query}`;
  };
  const first = page * PAGE_SIZE + 1;
  return markup`<nav class="pages" aria-label="Pages">
${page === 0 ? "" : markup`<a rel="prev" href="${urlOf(page - 1)}">Newer</a>`}
<span>${count === 0 ? "End of list" : `${formatNumber(first)}–${formatNumber(first + count - 1)}`}</span>
${isLast ? "" : markup`<a rel="next" href="${urlOf(page + 1)}">Older</a>`}
</nav>`;
}
