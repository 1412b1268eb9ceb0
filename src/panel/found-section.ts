import { formatIdentities, formatPercent } from "../format.ts";
import type { FoundFeature } from "../warehouse/discover-features.ts";
import { timeOf } from "./badges.ts";
import { type Markup, markup, safeText } from "./markup.ts";

/** A feature in the warehouse, and the id of its open experiment; null: it has none. */
export type OfferedFeature = FoundFeature & { experimentId: string | null };

const MAX_VARIANTS = 6;

/** Features with exposures, each with a link to its experiment or to the filled-in form of a new one. */
export function foundTable(features: readonly OfferedFeature[]): Markup {
  return markup`<table class="cards">
<thead><tr><th scope="col">Feature</th><th scope="col">Variants</th><th scope="col">Since</th><th scope="col">Experiment</th></tr></thead>
<tbody>${features.map(rowOf)}</tbody></table>`;
}

function rowOf(feature: OfferedFeature): Markup {
  const { environmentKey, featureName, variants, firstExposureAt, experimentId } = feature;
  const total = variants.reduce((sum, { identities }) => sum + identities, 0);
  const shares = variants.slice(0, MAX_VARIANTS).map(({ key, identities }, index) => {
    return markup`${index === 0 ? "" : ", "}${safeText(key)} ${formatPercent(identities / Math.max(1, total))}`;
  });
  const query = new URLSearchParams({ environment_key: environmentKey, feature_name: featureName });
  const target = markup`${safeText(featureName)} in ${safeText(environmentKey)}`;
  return markup`<tr><th scope="row">${safeText(featureName)}<span class="sub">in ${safeText(environmentKey)}</span></th>
<td>${shares}${variants.length > MAX_VARIANTS ? ", …" : ""}<span class="sub">about ${formatIdentities(total)}</span></td>
<td data-label="since">${timeOf(firstExposureAt)}</td>
<td>${
    experimentId === null
      ? markup`<a href="/new?${query}" aria-label="Create an experiment of ${target}">Create</a>`
      : markup`<a href="/experiments/${encodeURIComponent(experimentId)}" aria-label="Open the experiment of ${target}">Open</a>`
  }</td></tr>`;
}
