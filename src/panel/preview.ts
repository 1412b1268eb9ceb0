import { identitiesByVariant } from "../exposures/summary.ts";
import { formatIdentities, formatNumber, formatPercent } from "../format.ts";
import type { ExperimentInput } from "../store/experiments.ts";
import { adviceFor } from "../warehouse/advice.ts";
import type { Warehouse } from "../warehouse/client.ts";
import { countExposures } from "../warehouse/count-exposures.ts";
import { type Markup, markup, safeText } from "./markup.ts";

/** The longest time that a visitor waits for a preview. */
const LIMIT_MS = 20_000;

/** Says what an experiment would count so far, by the query of a refresh. */
export async function previewOf(
  warehouse: Warehouse,
  { environmentKey, featureName, variants, startedAt, endedAt }: ExperimentInput,
  clock: () => number,
): Promise<Markup> {
  const now = clock();
  if (startedAt === null || startedAt >= now)
    return framed(markup`This counts nothing yet, because its start is not in the past.`);
  const window = { from: startedAt, to: Math.min(now, endedAt ?? now) };
  const counted = await countExposures(warehouse.withSharedDeadline(clock, LIMIT_MS), {
    environmentKey,
    featureName,
    window,
  });
  if (!counted.ok)
    return framed(
      counted.failure.kind === "timeout"
        ? markup`There is no preview, because counting takes longer than ${LIMIT_MS / 1000} seconds. A refresh may take longer.`
        : markup`There is no preview. ${adviceFor(counted.failure)}`,
    );

  const counts = identitiesByVariant(counted.value);
  const excluded = counts.get(null) ?? 0;
  const seen = new Map(variants.map(({ key }) => [key, 0]));
  for (const [key, identities] of counts) if (key !== null) seen.set(key, identities);
  const total = [...seen.values()].reduce((sum, identities) => sum + identities, 0);
  const configured = new Set(variants.map(({ key }) => key));
  if (total + excluded === 0)
    return framed(markup`This counts 0 identities so far. Check the feature, the environment and the start.`);
  return framed(markup`This counts ${formatIdentities(total)} so far${excluded === 0 ? "" : `, and excludes ${formatNumber(excluded)} with several variants`}.
<ul>${[...seen].slice(0, 50).map(([key, identities]) => markup`<li>${safeText(key)}: ${formatNumber(identities)} (${formatPercent(identities / Math.max(1, total))})${configured.size === 0 || configured.has(key) ? "" : ", not in the list of variants"}</li>`)}</ul>`);
}

function framed(content: Markup): Markup {
  return markup`<div class="empty" role="status" id="preview">${content}</div>`;
}
