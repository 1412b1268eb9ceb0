import { formatDays, formatIdentities, formatNumber, formatPercent, formatUtc, quoteName } from "../format.ts";
import { DAY } from "./buckets.ts";
import { hasExpired } from "./expiry.ts";
import { type Evidence, type Finding, NO_CAUSES } from "./health.ts";

// One function per check, except checkSampleRatio. Each sentence states the finding with its figures, then the action.

/** The check `multiple_variants` warns from this share of excluded identities on. */
export const MAX_HEALTHY_SHARE = 0.01;

/** Checks the share of identities that saw several variants and are excluded. */
export function checkMultipleVariants({ summary }: Evidence): Finding<"multiple_variants"> {
  const { excludedIdentities: excluded, totalIdentities } = summary;
  const share = shareOf(excluded, excluded + totalIdentities);
  const figures = { share, excluded_identities: excluded, ...NO_CAUSES };
  const finding = `The counts exclude ${formatNumber(excluded)} of ${formatIdentities(excluded + totalIdentities)} (${formatPercent(share ?? 0)}) for seeing several variants`;
  const action = "look for changed weights, shared identities, or flags read before the identity is known";
  if (share === null || excluded === 0)
    return { status: "healthy", figures, detail: "No identity saw several variants." };
  if (share >= 0.1)
    return { status: "unhealthy", figures, detail: `${finding}, too many to trust the rest: ${action}.` };
  if (share >= MAX_HEALTHY_SHARE && excluded >= 10)
    return { status: "warning", figures, detail: `${finding}: ${action}.` };
  return { status: "healthy", figures, detail: `${finding}.` };
}

/** Checks that every variant seen is configured with a weight above 0. */
export function checkUnknownVariants({
  summary,
  variants,
}: Pick<Evidence, "summary" | "variants">): Finding<"unknown_variants"> {
  if (variants.length === 0)
    return {
      status: "healthy",
      figures: { variants: new Map() },
      detail: "No variants are configured, so any variant is accepted.",
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
    return { status: "healthy", figures, detail: "Every variant seen is configured with a weight above 0." };
  const names = [...unknown.keys()].slice(0, 3).map(quoteName).join(", ");
  const more = unknown.size > 3 ? ` and ${formatNumber(unknown.size - 3)} more` : "";
  const detail = `${formatIdentities(identities)} saw variants that are not configured or have weight 0 (${names}${more}): configure their weights, or stop serving them.`;
  return { status: "warning", figures, detail };
}

/** Checks that exposures still arrive. */
export function checkExposuresArriving({
  window: { from, to },
  isRunning,
  collection,
}: Evidence): Finding<"exposures_arriving"> {
  const { latestExposureAt: latest } = collection;
  const figures = { latest_exposure_at: latest === null ? null : new Date(latest).toISOString() };
  const action = "check that the SDK sends exposures of this feature and environment, and that they reach ClickHouse";
  if (latest === null) {
    if (isRunning && to - from < DAY)
      return { status: "waiting", figures, detail: "No exposures have arrived yet: allow 24 hours from the start." };
    const finding = isRunning
      ? `No exposures have arrived since the start (${formatUtc(from)})`
      : `No exposures arrived during the experiment (${formatUtc(from)} to ${formatUtc(to)})`;
    return { status: "unhealthy", figures, detail: `${finding}: ${action}.` };
  }
  if (isRunning && latest < to - DAY) {
    const detail = `No exposures have arrived in the last 24 hours (the latest at ${formatUtc(latest)}): ${action}.`;
    return { status: "warning", figures, detail };
  }
  return { status: "healthy", figures, detail: `The latest exposure is from ${formatUtc(latest)}.` };
}

/** Checks the share of first exposures that arrive late, after which recent buckets still grow. */
export function checkLateEvents({ summary, collection: { lateIdentities: late } }: Evidence): Finding<"late_events"> {
  const identities = summary.totalIdentities + summary.excludedIdentities;
  const share = shareOf(late, identities);
  const figures = { share, late_identities: late };
  if (share === null || late === 0)
    return { status: "healthy", figures, detail: "No first exposure was collected more than an hour late." };
  const finding = `For ${formatNumber(late)} of ${formatIdentities(identities)} (${formatPercent(share)}), the first exposure was collected more than an hour late`;
  return share >= 0.05
    ? { status: "warning", figures, detail: `${finding}, so recent buckets will still grow: ignore them for now.` }
    : { status: "healthy", figures, detail: `${finding}.` };
}

/** Checks that the warehouse still had the events of the window's start. Equal counts get equal figures at any time. */
export function checkWindow({ window: { from, to }, countedAt, eventsTtlDays }: Evidence): Finding<"window"> {
  const days = (to - from) / DAY;
  const figures = { days, events_ttl_days: eventsTtlDays };
  const length = days < 1 ? "less than a day" : formatDays(days);
  if (eventsTtlDays === 0)
    return { status: "healthy", figures, detail: `The window is ${length} long, and events never expire.` };
  const kept = formatDays(eventsTtlDays);
  return hasExpired(from, Math.max(to, countedAt), eventsTtlDays)
    ? {
        status: "warning",
        figures,
        detail: `The window began more than ${kept} before it was counted, and events are kept no longer, so early identities may be missing or counted late: end the experiment, or keep events longer and raise EVENTS_TTL_DAYS.`,
      }
    : { status: "healthy", figures, detail: `The window is ${length} long, and events are kept for ${kept}.` };
}

/** Checks the share of events without an identity or a variant. */
export function checkInvalidEvents({ collection }: Evidence): Finding<"invalid_events"> {
  const { invalidEvents: invalid, events, latestExposureAt } = collection;
  // `events` may be 0, uncounted, if none is invalid.
  const share = invalid > 0 ? Math.min(invalid / events, 1) : latestExposureAt === null ? null : 0;
  const figures = { share, invalid_events: invalid };
  if (share === null || invalid === 0)
    return { status: "healthy", figures, detail: "Every event has an identity and a variant." };
  const finding = `The counts ignore ${formatNumber(invalid)} of ${formatNumber(events)} events (${formatPercent(share)}) for lack of an identity or a variant`;
  return share >= 0.01
    ? { status: "warning", figures, detail: `${finding}: find and fix the code that sends them.` }
    : { status: "healthy", figures, detail: `${finding}.` };
}

/** The share of the part; null if the whole is 0. */
function shareOf(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
