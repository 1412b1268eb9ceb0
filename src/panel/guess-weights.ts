type Share = { key: string; identities: number };

/** Three standard errors, and a percentage point because the counts are approximate. */
function isNear(weight: number, share: number, total: number): boolean {
  return Math.abs(share - weight) <= 0.01 + 3 * Math.sqrt((weight * (1 - weight)) / total);
}

/**
 * Guesses the configured split from the shares that were seen: an equal one, else one in steps of 10, 5 or 1 percent,
 * whichever comes first and is near. Without one, the shares themselves. Returns the weights in the order of the variants.
 */
export function guessWeights(variants: readonly Share[]): number[] {
  const total = variants.reduce((sum, { identities }) => sum + identities, 0);
  const count = variants.length;
  const shares = variants.map(({ identities }) => identities / Math.max(1, total));
  if (shares.every((share) => isNear(1 / count, share, Math.max(1, total))))
    return shares.map(() => (100 % count === 0 ? 100 / count : 1));
  for (const step of [10, 5, 1]) {
    const weights = shares.map((share) => step * Math.round((100 * share) / step));
    const sum = weights.reduce((all, weight) => all + weight, 0);
    if (sum !== 100 || weights.includes(0)) continue;
    if (weights.every((weight, index) => isNear(weight / 100, shares[index] ?? 0, total))) return weights;
  }
  return shares.map((share) => Number((100 * share).toPrecision(2)));
}
