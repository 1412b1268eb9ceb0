import { DAY } from "./buckets.ts";
import { formatDays, formatIdentities, formatNumber, formatPercent, formatUtc, quoteName } from "./format.ts";
import type { Evidence, Finding } from "./health.ts";

// One function per check; checkSampleRatio has a file of its own. Each sentence names the figures behind it.

/** How many saw several variants, and so count for none? */
export function checkMultipleVariants({ summary }: Evidence): Finding<"multiple_variants"> {
  const { excludedIdentities: excluded, totalIdentities } = summary;
  const share = shareOf(excluded, excluded + totalIdentities);
  const figures = { share, excluded_identities: excluded };
  const what = `Several variants were seen by ${formatNumber(excluded)} of ${formatIdentities(excluded + totalIdentities)} (${formatPercent(share ?? 0)}), left out of all counts`;
  const act =
    "look for changed weights, identities that several people share, and flags read before the identity is known";
  if (share === null || excluded === 0)
    return { status: "healthy", figures, detail: "No identity saw several variants." };
  if (share >= 0.1) return { status: "unhealthy", figures, detail: `${what}: too many to trust the rest; ${act}.` };
  if (share >= 0.01 && excluded >= 10) return { status: "warning", figures, detail: `${what}: ${act}.` };
  return { status: "healthy", figures, detail: `${what}.` };
}

/** Was anybody served what nobody configured? */
export function checkUnknownVariants({ summary, variants }: Evidence): Finding<"unknown_variants"> {
  if (variants.length === 0)
    return {
      status: "healthy",
      figures: { variants: new Map() },
      detail: "No variants are configured to compare with.",
    };
  const weights = new Map(variants.map(({ key, weight }) => [key, weight]));
  const unknown = new Map<string, number>();
  let identities = 0;
  for (const [key, { total }] of summary.variants) {
    if (total === 0 || (weights.get(key) ?? 0) > 0) continue;
    unknown.set(key, total);
    identities += total;
  }
  const figures = { variants: unknown };
  if (unknown.size === 0)
    return { status: "healthy", figures, detail: "Every variant seen is configured and has a weight." };
  const names = [...unknown.keys()].slice(0, 3).map(quoteName).join(", ");
  const more = unknown.size > 3 ? ` and ${formatNumber(unknown.size - 3)} more` : "";
  const detail = `${formatIdentities(identities)} saw ${names}${more}, not configured or without a weight: configure what is served, or find out who serves it.`;
  return { status: "warning", figures, detail };
}

/** Do exposures come in, still? */
export function checkExposuresArriving({
  window: { from, to },
  isRunning,
  collection,
}: Evidence): Finding<"exposures_arriving"> {
  const { latestExposureAt: latest } = collection;
  const figures = { latest_exposure_at: latest === null ? null : new Date(latest).toISOString() };
  const act = "check that the SDK sends exposures of this feature in this environment, and that they reach ClickHouse";
  if (latest === null) {
    if (isRunning && to - from < DAY)
      return { status: "waiting", figures, detail: "No exposures yet: some are expected in the first 24 hours." };
    const when = isRunning
      ? `since the start, ${formatUtc(from)}`
      : `between its start, ${formatUtc(from)}, and its end, ${formatUtc(to)}`;
    const detail = `No exposures came ${when}: ${act}.`;
    return { status: "unhealthy", figures, detail };
  }
  if (isRunning && latest < to - DAY) {
    const detail = `No exposures came in the last 24 hours (the latest at ${formatUtc(latest)}): ${act}.`;
    return { status: "warning", figures, detail };
  }
  return { status: "healthy", figures, detail: `The latest exposure came at ${formatUtc(latest)}.` };
}

/** Do buckets that seem complete still grow? */
export function checkLateEvents({ summary, collection: { lateIdentities: late } }: Evidence): Finding<"late_events"> {
  const identities = summary.totalIdentities + summary.excludedIdentities;
  const share = shareOf(late, identities);
  const figures = { share, late_identities: late };
  if (share === null || late === 0)
    return { status: "healthy", figures, detail: "No first exposure was collected more than an hour late." };
  const what = `The first exposure was collected more than an hour late for ${formatNumber(late)} of ${formatIdentities(identities)} (${formatPercent(share ?? 0)})`;
  return share >= 0.05
    ? { status: "warning", figures, detail: `${what}: recent buckets will still grow, so leave them out for now.` }
    : { status: "healthy", figures, detail: `${what}.` };
}

/** Does the warehouse still hold the window's start? */
export function checkWindow({ window: { from, to }, eventsTtlDays }: Evidence): Finding<"window"> {
  const days = (to - from) / DAY;
  const figures = { days, events_ttl_days: eventsTtlDays };
  const length = days < 1 ? "less than a day" : formatDays(days);
  if (eventsTtlDays === 0)
    return { status: "healthy", figures, detail: `The window is ${length} long, and events are kept for good.` };
  const kept = formatDays(eventsTtlDays);
  return days > eventsTtlDays
    ? {
        status: "warning",
        figures,
        detail: `The window is longer than the ${kept} that events are kept, so early identities are missed or counted late: end the experiment, or keep events longer and raise EVENTS_TTL_DAYS.`,
      }
    : { status: "healthy", figures, detail: `The window is ${length} long, and events are kept for ${kept}.` };
}

/** How many events say nothing, because they name no identity or no variant? */
export function checkInvalidEvents({ collection }: Evidence): Finding<"invalid_events"> {
  const { invalidEvents: invalid, events, latestExposureAt } = collection;
  // Where there are none, the others may not have been counted.
  const share = invalid > 0 ? Math.min(invalid / events, 1) : latestExposureAt === null ? null : 0;
  const figures = { share, invalid_events: invalid };
  if (share === null || invalid === 0)
    return { status: "healthy", figures, detail: "Every event names an identity and a variant." };
  const what = `No identity or no variant is named by ${formatNumber(invalid)} of ${formatNumber(events)} events (${formatPercent(share ?? 0)}), which count for nothing`;
  return share >= 0.01
    ? { status: "warning", figures, detail: `${what}: find the SDK or the code that sends them.` }
    : { status: "healthy", figures, detail: `${what}.` };
}

/** Null where there is nothing to take a share of: that is not 0. */
function shareOf(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
