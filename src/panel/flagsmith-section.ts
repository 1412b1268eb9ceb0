import type { Experiment } from "../experiment.ts";
import type { FlagsmithSettings } from "../settings.ts";
import type { Database } from "../store/database.ts";
import type { Scope } from "../store/experiment-row.ts";
import { type FlagsmithEnvironment, listFlagsmithEnvironments } from "../store/flagsmith.ts";
import { ago, timeOf } from "./badges.ts";
import { type Markup, markup, safeText } from "./markup.ts";

/** The section about the sync with Flagsmith. */
export type FlagsmithView = {
  /** The environments that are synced, as far as the visitor may see them. */
  environments: readonly FlagsmithEnvironment[];
  /** An address of Flagsmith that a browser can open; null: nothing is synced. */
  dashboard: string | null;
};

export async function viewFlagsmith(
  database: Database,
  settings: FlagsmithSettings | null,
  scope: Scope,
): Promise<FlagsmithView> {
  if (settings === null) return { environments: [], dashboard: null };
  const keys = settings.environments.filter((key) => scope === null || key === scope);
  return { environments: await listFlagsmithEnvironments(database, keys), dashboard: dashboardOf(settings.apiUrl) };
}

/** Flagsmith's cloud has its dashboard on another host. A self-hosted Flagsmith serves both on one host. */
function dashboardOf({ hostname, origin }: URL): string {
  return hostname === "api.flagsmith.com" ? "https://app.flagsmith.com" : origin;
}

/** The list's section: when each environment was last synced, and what differs from Flagsmith. */
export function flagsmithStatus({ environments }: FlagsmithView, now: number): Markup | "" {
  if (environments.length === 0) return "";
  return markup`<section aria-label="Flagsmith">${environments.map((environment) => {
    const { environmentKey, notes } = environment;
    return markup`<p class="hint">Flagsmith's experiments in ${safeText(environmentKey)}: ${stepOf(environment, now)}.</p>
${failureOf(environment)}
${
  notes.length === 0
    ? ""
    : markup`<details><summary>Differs from Flagsmith: ${notes.length} ${notes.length === 1 ? "note" : "notes"}</summary>
<ul>${notes.map(({ experimentId, text }) => markup`<li>${safeText(experimentId)}: ${safeText(text)}</li>`)}</ul></details>`
}`;
  })}</section>`;
}

/** The first page's line about the settings. */
export function flagsmithSettings({ dashboard }: FlagsmithView): Markup {
  return dashboard === null
    ? markup`<p class="hint">Experiments that are defined in Flagsmith can appear here automatically. Set FLAGSMITH_API_KEY and FLAGSMITH_ENVIRONMENTS.</p>`
    : markup`<p class="hint">Flagsmith's experiments appear here after the next sweep.</p>`;
}

/** The page's section of an experiment that Flagsmith defines. */
export function sourceSection({ id, environmentKey }: Experiment, view: FlagsmithView, now: number): Markup {
  const environment = view.environments.find((each) => each.environmentKey === environmentKey);
  const notes = (environment?.notes ?? []).filter(({ experimentId }) => experimentId === id);
  const place = markup`experiment ${id.replace(/^flagsmith-/, "")} of the environment ${safeText(environmentKey)}`;
  return markup`<section aria-label="Source">
<p>Defined in Flagsmith, as ${place}: ${environment === undefined ? "no longer synced" : stepOf(environment, now)}. ${
    view.dashboard === null ? "Change it there." : markup`<a href="${view.dashboard}">Change it in Flagsmith</a>`
  }</p>
${environment === undefined ? "" : failureOf(environment)}
${notes.map(({ text }) => markup`<p class="problem">${safeText(text)}</p>`)}
</section>`;
}

function stepOf({ syncedAt }: FlagsmithEnvironment, now: number): Markup {
  return syncedAt === null ? markup`not synced yet` : markup`synced at ${timeOf(syncedAt)} (${ago(now - syncedAt)})`;
}

function failureOf({ failedAt, failure }: FlagsmithEnvironment): Markup | "" {
  if (failedAt === null) return "";
  return markup`<p class="problem">The sync with Flagsmith failed at ${timeOf(failedAt)}. ${failure ?? ""}</p>`;
}
