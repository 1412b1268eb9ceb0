import { formatDecimal, formatIdentities, formatNumber, formatPValue, quoteName } from "./format.ts";
import type { Evidence, Finding } from "./health.ts";
import { chiSquare, type SampleRatio, sharesOf, testSampleRatio } from "./sample-ratio.ts";

const MIN_IDENTITIES = 100;
const ALPHA = 0.001;

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
  const isEnough = arms.length >= 2 && all >= MIN_IDENTITIES;
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
    return {
      status: "waiting",
      detail: `${formatIdentities(all)} so far: the split is checked from ${MIN_IDENTITIES} on.`,
    };

  const [isOff, isSurelyOff] = [ratio.pValue < ALPHA, ratio.sequentialPValue < ALPHA];
  const [once, always] = [
    `chi-square p = ${formatPValue(ratio.pValue)}`,
    `sequential p = ${formatPValue(ratio.sequentialPValue)}`,
  ];
  if (isSurelyOff) {
    const what = isOff
      ? `${worstOf(arms, all)}, which chance does not explain`
      : `The split of ${formatIdentities(all)} is not far off now (${once}), but was further off earlier than chance explains`;
    const act = "trust no result before you know why, and look for redirects, crashes, bots or caches of one variant";
    return { status: "unhealthy", detail: `${what} (${always}): ${act}.` };
  }
  if (isOff) {
    const doubt = "the test that holds however often one looks is not sure yet";
    const detail = `${worstOf(arms, all)} (${once}), but ${doubt} (${always}): wait for more identities.`;
    return { status: "warning", detail };
  }
  return {
    status: "healthy",
    detail: `${formatIdentities(all)} are split as configured, as far as chance allows (${always}).`,
  };
}

function worstOf(arms: readonly Arm[], all: number): string {
  const offBy = ({ share, identities }: Arm) => chiSquare([share], [identities], all);
  const worst = arms.reduce((worst, arm) => (offBy(arm) > offBy(worst) ? arm : worst));
  const expected = all * worst.share;
  return `${quoteName(worst.key)} has ${formatNumber(worst.identities)} of ${formatIdentities(all)} instead of ${expected < 10 ? formatDecimal(expected) : formatNumber(expected)}`;
}
