import { splitChangeIn } from "../experiment.ts";
import { formatDecimal, formatIdentities, formatNumber, formatPValue, formatUtc, quoteName } from "../format.ts";
import { splitFrom } from "./buckets.ts";
import { type Evidence, type Finding, NO_CAUSES } from "./health.ts";
import { chiSquare, type SampleRatio, sharesOf, sumOf, testSampleRatio } from "./sample-ratio.ts";

const MIN_IDENTITIES = 100;
export const SAMPLE_RATIO_ALPHA = 0.001;

/** A variant with a weight above 0: its configured share, its identities, and its new identities per bucket. */
type Arm = { key: string; share: number; identities: number; added: readonly number[] };

/**
 * Checks that identities are split by the weights. If the weights have changed, it tests the identities of the buckets
 * that begin afterwards. Excluded identities and variants without a weight do not count.
 */
export function checkSampleRatio({
  window,
  summary,
  variants,
  weightsChangedAt,
}: Pick<Evidence, "window" | "summary" | "variants" | "weightsChangedAt">): Finding<"sample_ratio"> {
  const from = splitFrom(window, weightsChangedAt);
  const testedFrom = from === window.from ? null : from;
  const { first, size } = summary.buckets;
  const skipped = Math.floor((from - first) / size);
  const weighted = variants.filter(({ weight }) => weight > 0);
  const shares = sharesOf(weighted.map(({ weight }) => weight));
  const arms: Arm[] = weighted.map(({ key }, index) => {
    const added = summary.variants.get(key)?.added.slice(skipped) ?? [];
    return { key, share: shares[index] ?? 0, identities: sumOf(added), added };
  });
  const total = sumOf(arms.map(({ identities }) => identities));
  const isEnough = arms.length >= 2 && total >= MIN_IDENTITIES;
  const added = arms.map((arm) => arm.added);
  const ratio = isEnough ? testSampleRatio(shares, added) : null;
  const { status, detail } = judgeSplit(arms, total, ratio, testedFrom);
  const changedAt = splitChangeIn({ startedAt: window.from, weightsChangedAt }, window.to);
  return {
    status,
    detail:
      changedAt === null
        ? detail
        : `${detail} The weights changed at ${formatUtc(changedAt)}, so results mix periods with different splits.`,
    figures: {
      p_value: ratio?.pValue ?? null,
      sequential_p_value: ratio?.sequentialPValue ?? null,
      expected: new Map(arms.map(({ key, share }) => [key, share])),
      observed: new Map(arms.map(({ key, identities }) => [key, identities])),
      tested_from: testedFrom === null ? null : new Date(testedFrom).toISOString(),
      ...NO_CAUSES,
    },
  };
}

/** @param testedFrom the time of the first exposures that are tested, in epoch milliseconds; null: the window's start */
function judgeSplit(
  arms: readonly Arm[],
  total: number,
  ratio: SampleRatio | null,
  testedFrom: number | null,
): Pick<Finding, "status" | "detail"> {
  if (arms.length < 2)
    return {
      status: "waiting",
      detail: "The split cannot be checked yet: configure at least two variants with a weight above 0.",
    };
  const period = testedFrom === null ? "" : ` from ${formatUtc(testedFrom)} on`;
  if (ratio === null)
    return {
      status: "waiting",
      detail: `${formatIdentities(total)}${period || " so far"}: wait for ${MIN_IDENTITIES}, the minimum for checking the split.`,
    };

  const isOffNow = ratio.pValue < SAMPLE_RATIO_ALPHA;
  const sequential = `sequential p = ${formatPValue(ratio.sequentialPValue)}`;
  const worst = () => describeWorst(arms, total, period);
  if (ratio.sequentialPValue < SAMPLE_RATIO_ALPHA) {
    const finding = isOffNow
      ? `${worst()}, which is very unlikely by chance (${sequential})`
      : `The split${period} fits the weights now but was off earlier, which is very unlikely by chance (${sequential})`;
    const action = "look for redirects, crashes, bots or caches in one variant before you trust any result";
    return { status: "unhealthy", detail: `${finding}: ${action}.` };
  }
  if (isOffNow) {
    const single = `chi-square p = ${formatPValue(ratio.pValue)}`;
    const finding = `${worst()}, which looks off (${single}) but is not certain yet (${sequential})`;
    return { status: "warning", detail: `${finding}: wait for more identities.` };
  }
  return {
    status: "healthy",
    detail: `The split of ${formatIdentities(total)}${period} is consistent with the weights (${sequential}).`,
  };
}

/** Describes the variant that contributes most to the chi-square statistic. */
export function describeWorst(arms: readonly Omit<Arm, "added">[], total: number, period = ""): string {
  const deviationOf = ({ share, identities }: Omit<Arm, "added">) => chiSquare([share], [identities], total);
  const worst = arms.reduce((worst, arm) => (deviationOf(arm) > deviationOf(worst) ? arm : worst));
  const expected = total * worst.share;
  return `${quoteName(worst.key)} has ${formatNumber(worst.identities)} of ${formatIdentities(total)}${period} instead of ${expected < 10 ? formatDecimal(expected) : formatNumber(expected)}`;
}
