import { uniforms } from "../support/random.ts";
import {
  conversion,
  type FalseVerdicts,
  findFalseVerdicts,
  isDecided,
  lookAt,
  normalValues,
  oneAndSeldomTwo,
  revenue,
  type SimulatedExperiment,
  type SimulatedMetric,
} from "../support/simulated-metric.ts";
import type { SimulationSizes } from "./simulation-sizes.ts";

// How often verdicts of A/A experiments are wrong under repeated looks, how soon those of A/B experiments are decided, and
// what a look-back saves.

const LOOKS = 250;
const LIFTS = [0.02, 0.05, 0.1];

const fair = [100, 100];
const skewed = [180, 20];
const fourArms = [100, 100, 100, 100];

const sameVariants: { what: string; metric: SimulatedMetric; arms: readonly number[] }[] = [
  { what: "1 % convert", metric: conversion(0.01), arms: fair },
  { what: "1 % convert, four arms", metric: conversion(0.01), arms: fourArms },
  { what: "5 % convert", metric: conversion(0.05), arms: fair },
  { what: "5 % convert, four arms", metric: conversion(0.05), arms: fourArms },
  { what: "5 % convert, 90/10", metric: conversion(0.05), arms: skewed },
  { what: "50 % convert", metric: conversion(0.5), arms: fair },
  { what: "50 % convert, four arms", metric: conversion(0.5), arms: fourArms },
  { what: "90 % convert, 5/95", metric: conversion(0.9), arms: [5, 95] },
  { what: "95 % convert, 90/5/5", metric: conversion(0.95), arms: [90, 5, 5] },
  { what: "99 % convert", metric: conversion(0.99), arms: fair },
  { what: "99 % convert, 95/5", metric: conversion(0.99), arms: [95, 5] },
  { what: "one event, for 1 % two, 95/5", metric: oneAndSeldomTwo(0.01), arms: [95, 5] },
  { what: "revenue", metric: revenue(0.1, 1.5), arms: fair },
  { what: "revenue, four arms", metric: revenue(0.1, 1.5), arms: fourArms },
  { what: "revenue, 90/10", metric: revenue(0.1, 1.5), arms: skewed },
  { what: "revenue, look-back", metric: revenue(0.1, 1.5, 0.9), arms: fair },
  { what: "revenue, lighter tail", metric: revenue(0.1, 1), arms: fair },
  { what: "revenue, heavier tail", metric: revenue(0.1, 2), arms: fair },
];

const rules: { title: string; key: keyof FalseVerdicts }[] = [
  { title: "verdict", key: "verdict" },
  { title: "interval alone", key: "interval" },
  { title: "Flagsmith's rule", key: "flagsmith" },
  { title: "95 % interval", key: "fixed" },
];

/** Prints all tables. */
export function simulate({ seed, experiments }: SimulationSizes): void {
  printFalseVerdicts(seed, experiments);
  // A lift needs many more identities than a false verdict, so these are fewer experiments.
  printDecisions(seed, Math.ceil(experiments / 5));
  printSavings(seed, Math.ceil(experiments / 5));
}

function printFalseVerdicts(seed: number, experiments: number): void {
  console.log(`${number(experiments)} A/A experiments each, looked at ${LOOKS} times; seed ${seed}\n`);
  console.log(`| called winning or losing | ${rules.map(({ title }) => title).join(" | ")} |`);
  console.log(`| --- | ${rules.map(() => "---:").join(" | ")} |`);
  for (const { what, ...experiment } of sameVariants) {
    const uniform = uniforms(seed);
    const all = Array.from({ length: experiments }, () =>
      findFalseVerdicts({ ...experiment, lift: 0, looks: LOOKS }, uniform),
    );
    const shares = rules.map(({ key }) => percent(all.filter((found) => found[key]).length / experiments));
    console.log(`| ${what} | ${shares.join(" | ")} |`);
  }
}

/** The new identities of each arm between two looks at an A/B experiment, which is looked at up to LOOKS times. */
const PER_ARM = 2000;

function printDecisions(seed: number, experiments: number): void {
  console.log(
    `\n${number(experiments)} A/B experiments each, looked at every ${number(2 * PER_ARM)} identities up to ${number(2 * PER_ARM * LOOKS)}\n`,
  );
  console.log("| metric | lift | winning | losing | identities until then: median | 90 % |");
  console.log("| --- | ---: | ---: | ---: | ---: | ---: |");
  for (const { what, metric } of [
    { what: "5 % convert", metric: conversion(0.05) },
    { what: "50 % convert", metric: conversion(0.5) },
    { what: "revenue", metric: revenue(0.1, 1.5) },
  ]) {
    for (const lift of LIFTS) {
      const uniform = uniforms(seed);
      const decisions = Array.from({ length: experiments }, () =>
        decide({ metric, arms: [PER_ARM, PER_ARM], lift, looks: LOOKS }, uniform),
      );
      const shareOf = (verdict: string) =>
        percent(decisions.filter((decision) => decision.verdict === verdict).length / experiments);
      const identities = decisions.map((decision) => decision.identities);
      console.log(
        `| ${what} | ${percent(lift)} | ${shareOf("winning")} | ${shareOf("losing")} | ${quantile(identities, 0.5)} | ${quantile(identities, 0.9)} |`,
      );
    }
  }
}

function printSavings(seed: number, experiments: number): void {
  console.log(`\n${number(experiments)} A/B experiments each with a lift of 10 %, looked at every 200 identities\n`);
  console.log("| correlation | variance reduction | identities until winning: median | saved |");
  console.log("| ---: | ---: | ---: | ---: |");
  let without: number | null = null;
  for (const correlation of [0, 0.5, 0.9]) {
    const uniform = uniforms(seed);
    const experiment = { metric: normalValues(correlation), arms: fair, lift: 0.1, looks: 1000 };
    const decisions = Array.from({ length: experiments }, () => decide(experiment, uniform));
    const identities = median(decisions.map((decision) => decision.identities));
    const reduction = median(decisions.map((decision) => decision.varianceReduction));
    without ??= identities;
    console.log(
      `| ${correlation} | ${percent(reduction)} | ${number(identities)} | ${percent(1 - identities / without)} |`,
    );
  }
}

/** The verdict of an experiment with two arms, and when it came; infinitely late if it never did. */
type Decision = { verdict: string; identities: number; varianceReduction: number };

function decide(experiment: SimulatedExperiment, uniform: () => number): Decision {
  for (const { moments, comparisons } of lookAt(experiment, uniform)) {
    const decided = comparisons.find(isDecided);
    if (decided === undefined) continue;
    const identities = moments.reduce((sum, arm) => sum + arm.identities, 0);
    return { verdict: decided.verdict, identities, varianceReduction: decided.varianceReduction ?? 0 };
  }
  return { verdict: "inconclusive", identities: Number.POSITIVE_INFINITY, varianceReduction: 0 };
}

const number = (value: number) => value.toLocaleString("en");
const percent = (share: number) => `${(100 * share).toLocaleString("en", { maximumFractionDigits: 1 })} %`;

/** The smallest number that at least `part` of all numbers do not exceed. */
function valueAt(all: readonly number[], part: number): number {
  return all.toSorted((a, b) => a - b)[Math.ceil(part * all.length) - 1] ?? Number.NaN;
}
const median = (all: readonly number[]) => valueAt(all, 0.5);
function quantile(all: readonly number[], part: number): string {
  const value = valueAt(all, part);
  return Number.isFinite(value) ? number(value) : "not reached";
}
