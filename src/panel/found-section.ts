import { formatIdentities, formatPercent } from "../format.ts";
import { type FoundFeature, MAX_LISTED_VARIANTS } from "../warehouse/discover-features.ts";
import { timeOf } from "./badges.ts";
import { type Markup, markup, safeText } from "./markup.ts";

/** A feature in the warehouse, and the id of its open experiment; null: it has none. */
export type OfferedFeature = FoundFeature & { experimentId: string | null };

const MAX_SHOWN = 6;

/** Features with exposures, each with a link to its experiment or to the filled-in form of a new one. */
export function foundTable(features: readonly OfferedFeature[]): Markup {
  return markup`<table class="cards">
<thead><tr><th scope="col">Feature</th><th scope="col">Variants</th><th scope="col">Since</th><th scope="col">Experiment</th></tr></thead>
<tbody>${features.map(rowOf)}</tbody></table>`;
}

function rowOf(feature: OfferedFeature): Markup {
  const { environmentKey, featureName, variants, firstExposureAt, experimentId } = feature;
  const total = variants.reduce((sum, { identities }) => sum + identities, 0);
  // A full list may lack variants, so neither shares nor the sum would be those of all.
  const isFull = variants.length >= MAX_LISTED_VARIANTS;
  const shown = variants.slice(0, MAX_SHOWN).map(({ key, identities }, index) => {
    const share = isFull ? "" : ` ${formatPercent(identities / Math.max(1, total))}`;
    return markup`${index === 0 ? "" : ", "}${safeText(key)}${share}`;
  });
  const query = new URLSearchParams({ environment_key: environmentKey, feature_name: featureName });
  const target = markup`${safeText(featureName)} in ${safeText(environmentKey)}`;
  return markup`<tr><th scope="row">${safeText(featureName)}<span class="sub">in ${safeText(environmentKey)}</span></th>
<td>${shown}${variants.length > MAX_SHOWN ? ", …" : ""}<span class="sub">${isFull ? `the ${MAX_LISTED_VARIANTS} largest variants` : `about ${formatIdentities(total)}`}</span></td>
<td data-label="since">${timeOf(firstExposureAt)}</td>
<td>${
    experimentId === null
      ? markup`<a href="/new?${query}" aria-label="Create an experiment of ${target}">Create</a>`
      : markup`<a href="/experiments/${encodeURIComponent(experimentId)}" aria-label="Open the experiment of ${target}">Open</a>`
  }</td></tr>`;
}
