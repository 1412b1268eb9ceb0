import { deviance, stirlingError } from "../gamma.ts";

// Upper bounds of tail probabilities. The terms of a tail fall at least as fast as a geometric series with the ratio of the
// first two, so its sum bounds the tail. It is valid at any size, takes constant time, and is at most 10 % too high where a
// tail is below 0.001 and its terms are many. Source: Feller, "An Introduction to Probability Theory" (1968), VI.3.

/** Bounds the probability of at least x successes in n trials with the probability p. From x <= n p on, the bound is 1. */
export function binomialTail(x: number, n: number, p: number): number {
  if (x <= n * p) return 1;
  const q = 1 - p;
  return geometricSum(logBinomial(x, n, p), ((n - x) * p) / ((x + 1) * q));
}

/**
 * Bounds the probability that at least x of n items, drawn without replacement from a population, are among its successes:
 * one side of Fisher's exact test. The bound is 1 if x is at most the mean.
 */
export function hypergeometricTail(x: number, n: number, successes: number, population: number): number {
  const p = successes / population;
  if (!(x > n * p)) return 1;
  const others = population - n;
  const logProbability =
    logBinomial(x, n, p) + logBinomial(successes - x, others, p) - logBinomial(successes, population, p);
  const ratio = ((n - x) * (successes - x)) / ((x + 1) * (others - successes + x + 1));
  return geometricSum(logProbability, ratio);
}

function geometricSum(logFirst: number, ratio: number): number {
  return Math.min(Math.max(Math.exp(logFirst) / (1 - ratio), Number.MIN_VALUE), 1);
}

/** The logarithm of the probability of exactly x successes. Source: Loader (2000), as in src/gamma.ts. */
function logBinomial(x: number, n: number, p: number): number {
  const failures = n - x;
  if (x === 0) return n * Math.log(1 - p);
  if (failures === 0) return n * Math.log(p);
  return (
    stirlingError(n) -
    stirlingError(x) -
    stirlingError(failures) -
    deviance(x, n * p) -
    deviance(failures, n * (1 - p)) +
    Math.log(n / (2 * Math.PI * x * failures)) / 2
  );
}
