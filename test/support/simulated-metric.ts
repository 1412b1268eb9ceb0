import type { Aggregation } from "../../src/experiment.ts";
import { type Comparison, compare } from "../../src/results/compare.ts";
import { type Moments, mergeMoments, NO_MOMENTS } from "../../src/results/moments.ts";
import { momentsOf } from "./moments.ts";
import { binomials, normals } from "./random.ts";

/** A metric whose values are drawn at random. */
export type SimulatedMetric = {
  aggregation: Aggregation;
  /** Returns a function that draws the moments of further identities, with a mean that is higher by `lift`. */
  sampler(uniform: () => number, identities: number, lift: number): () => Moments;
};

/** A conversion: the value is 1 with the probability `rate`, else 0. */
export function conversion(rate: number): SimulatedMetric {
  return {
    aggregation: "occurrence",
    sampler(uniform, identities, lift) {
      const draw = binomials(identities, rate * (1 + lift), uniform);
      return () => {
        const sum = draw();
        return { identities, sum, squaredDeviations: sum - (sum * sum) / identities, covariate: null };
      };
    },
  };
}

/** A count: the value is 2 with the probability `rate`, else 1. */
export function oneAndSeldomTwo(rate: number): SimulatedMetric {
  const { sampler } = conversion(rate);
  return {
    aggregation: "count",
    sampler(uniform, identities, lift) {
      const draw = sampler(uniform, identities, lift);
      return () => {
        const moments = draw();
        return { ...moments, sum: identities + moments.sum };
      };
    },
  };
}

/**
 * Revenue with a heavy tail: a `share` of the identities buys, for log-normal amounts.
 * @param sigma the standard deviation of the amount's logarithm
 * @param kept the correlation between the logarithms of a buyer's amount before and after the first exposure; null draws no
 *   covariate
 */
export function revenue(share: number, sigma: number, kept: number | null = null): SimulatedMetric {
  return {
    aggregation: "sum",
    sampler(uniform, identities, lift) {
      const buyers = binomials(identities, share, uniform);
      const normal = normals(uniform);
      const others = Math.sqrt(1 - (kept ?? 0) ** 2);
      return () => {
        const count = buyers();
        const [before, after]: [number[], number[]] = [[], []];
        for (let buyer = 0; buyer < count; buyer += 1) {
          const first = normal();
          after.push((1 + lift) * Math.exp(sigma * first));
          if (kept !== null) before.push(Math.exp(sigma * (kept * first + others * normal())));
        }
        return momentsOf(identities, after, kept === null ? null : before);
      };
    },
  };
}

/** Normal values with the mean 1 and the standard deviation 1, and a covariate that correlates with them. */
export function normalValues(correlation: number): SimulatedMetric {
  return {
    aggregation: "sum",
    sampler(uniform, identities, lift) {
      const normal = normals(uniform);
      const others = Math.sqrt(1 - correlation ** 2);
      return () => {
        const [before, after]: [number[], number[]] = [[], []];
        for (let identity = 0; identity < identities; identity += 1) {
          const first = normal();
          before.push(first);
          after.push(1 + lift + correlation * first + others * normal());
        }
        return momentsOf(identities, after, before);
      };
    },
  };
}

/** An experiment that is looked at again and again. The first arm is the control. */
export type SimulatedExperiment = {
  metric: SimulatedMetric;
  /** The new identities of each arm between two looks. */
  arms: readonly number[];
  /** The lift of all treatments over the control; 0 makes it an A/A experiment. */
  lift: number;
  looks: number;
};

/** Runs an experiment. Yields the moments of all arms and their comparisons, one per treatment, after each look. */
export function* lookAt({ metric, arms, lift, looks }: SimulatedExperiment, uniform: () => number) {
  const samplers = arms.map((identities, index) => metric.sampler(uniform, identities, index === 0 ? 0 : lift));
  let moments = arms.map((): Moments => NO_MOMENTS);
  const goal = { aggregation: metric.aggregation, expectedDirection: "increase" } as const;
  for (let look = 1; look <= looks; look += 1) {
    moments = moments.map((sofar, index) => mergeMoments(sofar, samplers[index]?.() ?? NO_MOMENTS));
    const [control = NO_MOMENTS, ...treatments] = moments;
    const comparisons = treatments.map((treatment) => compare(control, treatment, goal, treatments.length));
    yield { moments, comparisons };
  }
}

/** The rules that called an A/A experiment winning or losing at any look. */
export type FalseVerdicts = {
  /** By the verdict. */
  verdict: boolean;
  /** By the sequential interval alone, with Flagsmith's minima. */
  interval: boolean;
  /** By Flagsmith's rule: a chance to win above 95 % or below 5 %. */
  flagsmith: boolean;
  /** By an interval of 95 % for a single look. */
  fixed: boolean;
};

/** Finds the false verdicts of one A/A experiment. */
export function findFalseVerdicts(experiment: SimulatedExperiment, uniform: () => number): FalseVerdicts {
  const found = { verdict: false, interval: false, flagsmith: false, fixed: false };
  for (const { moments, comparisons } of lookAt(experiment, uniform)) {
    for (const [index, comparison] of comparisons.entries()) {
      found.verdict ||= isDecided(comparison);
      if (!isShownByFlagsmith(experiment.metric, [moments[0], moments[index + 1]])) continue;
      const { interval, chanceToWin, credibleInterval } = comparison;
      found.interval ||= interval !== null && !holdsZero(interval);
      found.flagsmith ||= chanceToWin !== null && (chanceToWin > 0.95 || chanceToWin < 0.05);
      found.fixed ||= credibleInterval !== null && !holdsZero(credibleInterval);
    }
  }
  return found;
}

/** True if a goal is winning or losing. */
export function isDecided({ verdict }: Comparison): boolean {
  return verdict === "winning" || verdict === "losing";
}

/** Flagsmith shows figures from 50 identities on, and for a conversion from 5 conversions on, in both arms. */
function isShownByFlagsmith({ aggregation }: SimulatedMetric, arms: readonly (Moments | undefined)[]): boolean {
  return arms.every(
    (arm) => arm !== undefined && arm.identities >= 50 && (aggregation !== "occurrence" || arm.sum >= 5),
  );
}

const holdsZero = ([low, high]: readonly [number, number]) => low <= 0 && high >= 0;
