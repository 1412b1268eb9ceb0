import { DAY } from "./buckets.ts";
import type { Evidence, Finding } from "./health.ts";
import { chiSquare, type SampleRatio, sharesOf, testSampleRatio } from "./sample-ratio.ts";
import { decimal, number, people, percent, period, quoted, short, utc } from "./format.ts";

// One function a check. Each is a sentence about figures, so that whoever doubts it can count again.

const LEAST_IDENTITIES = 100;
const SURE = 0.001;

/** A variant that identities should get a share of. */
type Arm = { key: string; share: number; identities: number; added: readonly number[] };

/** Were identities split as the weights say? Quarantined ones, and variants without a weight, don't matter. */
export function checkSampleRatio({ summary, variants }: Evidence): Finding<"sample_ratio"> {
  const weighted = variants.filter(({ weight }) => weight > 0);
  const shares = sharesOf(weighted.map(({ weight }) => weight));
  const arms: Arm[] = weighted.map(({ key }, index) => {
    const { total, added } = summary.variants.get(key) ?? { total: 0, added: [] };
    return { key, share: shares[index] ?? 0, identities: total, added };
  });
  const all = arms.reduce((sum, { identities }) => sum + identities, 0);
  const isEnough = arms.length >= 2 && all >= LEAST_IDENTITIES;
  const addedTo = arms.map(({ added }) => added);
  const ratio = isEnough ? testSampleRatio(shares, addedTo) : null;
  return {
    ...judgeSplit(arms, all, ratio),
    figures: {
      p_value: ratio?.pValue ?? null,
      sequential_p_value: ratio?.sequentialPValue ?? null,
      expected: new Map(arms.map(({ key, share }) => [key, share])),
      observed: new Map(arms.map(({ key, identities }) => [key, identities])),
    },
  };
}

function judgeSplit(arms: readonly Arm[], all: number, ratio: SampleRatio | null): Pick<Finding, "status" | "detail"> {
  if (arms.length < 2)
    return { status: "waiting", detail: "There is no split to check: configure at least two variants with weights." };
  if (ratio === null)
    return { status: "waiting", detail: `${people(all)} so far: the split is checked from ${LEAST_IDENTITIES} on.` };

  const [isOff, isSurelyOff] = [ratio.pValue < SURE, ratio.sequentialPValue < SURE];
  const [once, always] = [`chi-square p = ${short(ratio.pValue)}`, `sequential p = ${short(ratio.sequentialPValue)}`];
  if (isSurelyOff) {
    const what = isOff
      ? `${worstOf(arms, all)}, which chance does not explain`
      : `The split of ${people(all)} is not far off now (${once}), but was further off earlier than chance explains`;
    const act = "trust no result before you know why, and look for redirects, crashes, bots or caches of one variant";
    return { status: "unhealthy", detail: `${what} (${always}): ${act}.` };
  }
  if (isOff) {
    const doubt = "the test that holds however often one looks is not sure yet";
    const detail = `${worstOf(arms, all)} (${once}), but ${doubt} (${always}): wait for more identities.`;
    return { status: "warning", detail };
  }
  return { status: "healthy", detail: `${people(all)} are split as configured, as far as chance allows (${always}).` };
}

function worstOf(arms: readonly Arm[], all: number): string {
  const offBy = ({ share, identities }: Arm) => chiSquare([share], [identities], all);
  const worst = arms.reduce((worst, arm) => (offBy(arm) > offBy(worst) ? arm : worst));
  const expected = all * worst.share;
  return `${quoted(worst.key)} has ${number(worst.identities)} of ${people(all)} instead of ${expected < 10 ? decimal(expected) : number(expected)}`;
}

/** How many saw several variants, and so count for none? */
export function checkMultipleVariants({ summary }: Evidence): Finding<"multiple_variants"> {
  const { excludedIdentities: excluded, totalIdentities } = summary;
  const share = shareOf(excluded, excluded + totalIdentities);
  const figures = { share, excluded_identities: excluded };
  const what = `Several variants were seen by ${number(excluded)} of ${people(excluded + totalIdentities)} (${percent(share ?? 0)}), left out of all counts`;
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
  const names = [...unknown.keys()].slice(0, 3).map(quoted).join(", ");
  const more = unknown.size > 3 ? ` and ${number(unknown.size - 3)} more` : "";
  const detail = `${people(identities)} saw ${names}${more}, not configured or without a weight: configure what is served, or find out who serves it.`;
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
      ? `since the start, ${utc(from)}`
      : `between its start, ${utc(from)}, and its end, ${utc(to)}`;
    const detail = `No exposures came ${when}: ${act}.`;
    return { status: "unhealthy", figures, detail };
  }
  if (isRunning && latest < to - DAY) {
    const detail = `No exposures came in the last 24 hours (the latest at ${utc(latest)}): ${act}.`;
    return { status: "warning", figures, detail };
  }
  return { status: "healthy", figures, detail: `The latest exposure came at ${utc(latest)}.` };
}

/** Do buckets that seem complete still grow? */
export function checkLateEvents({ summary, collection: { lateIdentities: late } }: Evidence): Finding<"late_events"> {
  const identities = summary.totalIdentities + summary.excludedIdentities;
  const share = shareOf(late, identities);
  const figures = { share, late_identities: late };
  if (share === null || late === 0)
    return { status: "healthy", figures, detail: "No first exposure was collected more than an hour late." };
  const what = `The first exposure was collected more than an hour late for ${number(late)} of ${people(identities)} (${percent(share ?? 0)})`;
  return share >= 0.05
    ? { status: "warning", figures, detail: `${what}: recent buckets will still grow, so leave them out for now.` }
    : { status: "healthy", figures, detail: `${what}.` };
}

/** Does the warehouse still hold the window's start? */
export function checkWindow({ window: { from, to }, eventsTtlDays }: Evidence): Finding<"window"> {
  const days = (to - from) / DAY;
  const figures = { days, events_ttl_days: eventsTtlDays };
  const length = days < 1 ? "less than a day" : period(days);
  if (eventsTtlDays === 0)
    return { status: "healthy", figures, detail: `The window is ${length} long, and events are kept for good.` };
  const kept = period(eventsTtlDays);
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
  const what = `No identity or no variant is named by ${number(invalid)} of ${number(events)} events (${percent(share ?? 0)}), which count for nothing`;
  return share >= 0.01
    ? { status: "warning", figures, detail: `${what}: find the SDK or the code that sends them.` }
    : { status: "healthy", figures, detail: `${what}.` };
}

/** Null where there is nothing to take a share of: that is not 0. */
function shareOf(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
