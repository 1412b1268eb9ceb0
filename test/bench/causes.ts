import { HOUR } from "../../src/exposures/buckets.ts";
import { type CauseValue, findCauses } from "../../src/exposures/causes.ts";
import { uniforms } from "../support/random.ts";
import {
  runUntilFound,
  type SimulatedBreakdown,
  START,
  shareOfRank,
  valueOfRank,
} from "../support/simulated-breakdown.ts";
import type { SimulationSizes } from "./simulation-sizes.ts";

// How often the causes of a finding are named, and how often anything else is.

type Scenario = SimulatedBreakdown & { what: string; planted: readonly CauseValue[]; beginsAt?: number };

const SPLIT = { check: "sample_ratio", weights: [1, 1] } as const;
const EXCLUDED = { check: "multiple_variants", weights: [1, 1] } as const;
const number = (value: number) => value.toLocaleString("en", { maximumFractionDigits: 1 });
const percent = (share: number) => `${number(100 * share)} %`;
const version = (rank: number) => valueOfRank("sdk_version", rank);
const time = (hour: number): CauseValue => ({ dimension: "first_exposure", value: String(START + hour * HOUR) });

/** Harms the SDK versions of some ranks. */
const inVersions =
  (ranks: readonly number[], harm: number, elsewhere = 0) =>
  (version: number) =>
    ranks.includes(version) ? harm : elsewhere;

const shareOf = (...ranks: number[]) => percent(ranks.reduce((sum, rank) => sum + shareOfRank(rank), 0));

const scenarios: Scenario[] = [
  ...[
    { rank: 1, lost: 0.2 },
    { rank: 3, lost: 0.5 },
    { rank: 10, lost: 1 },
  ].map(({ rank, lost }) => ({
    ...SPLIT,
    what: `a version with ${shareOf(rank)}, where ${percent(lost)} of B are lost`,
    planted: [version(rank)],
    harm: inVersions([rank], lost),
  })),
  {
    ...SPLIT,
    what: "the second, with the weights 50/25/25",
    weights: [2, 1, 1],
    planted: [version(3)],
    harm: inVersions([3], 0.5),
  },
  {
    ...SPLIT,
    what: "the second, with the weights 90/10",
    weights: [9, 1],
    planted: [version(3)],
    harm: inVersions([3], 0.5),
  },
  {
    ...SPLIT,
    what: "the second, and all its identities in one country",
    planted: [version(3)],
    harm: inVersions([3], 0.5),
    mirrored: 1,
  },
  {
    ...SPLIT,
    what: "the second, and its identities are those of one country",
    planted: [version(3)],
    harm: inVersions([3], 0.5),
    mirrored: 1,
    isExclusive: true,
  },
  {
    ...SPLIT,
    what: "the second, and half its identities in one country",
    planted: [version(3)],
    harm: inVersions([3], 0.5),
    mirrored: 0.5,
  },
  {
    ...SPLIT,
    what: `a version with ${shareOf(3)} and a country with ${shareOf(5)}, where 50 % are lost`,
    planted: [version(3), valueOfRank("traits.country", 5)],
    harm: (version, _, country) => (version === 3 || country === 5 ? 0.5 : 0),
  },
  {
    ...SPLIT,
    what: `two versions with ${shareOf(3)} and ${shareOf(5)}, where 50 % are lost`,
    planted: [version(3), version(5)],
    harm: inVersions([3, 5], 0.5),
  },
  {
    ...SPLIT,
    what: `a version with ${shareOf(1)}, where 40 % are lost from the sixth hour on`,
    planted: [version(1)],
    harm: (version, hour) => (version === 1 && hour >= 6 ? 0.4 : 0),
    beginsAt: 6,
  },
  {
    ...SPLIT,
    what: "20 % are lost from the sixth hour on",
    planted: [time(6)],
    harm: (_, hour) => (hour < 6 ? 0 : 0.2),
    beginsAt: 6,
  },
  {
    ...EXCLUDED,
    what: `a version with ${shareOf(3)}, where 20 % are excluded`,
    limit: 0.01,
    planted: [version(3)],
    harm: inVersions([3], 0.2, 0.002),
  },
  {
    ...EXCLUDED,
    what: `a version with ${shareOf(1)}, where 40 % are excluded`,
    limit: 0.1,
    planted: [version(1)],
    harm: inVersions([1], 0.4, 0.005),
  },
  {
    ...EXCLUDED,
    what: "the first, and all its identities in one country",
    limit: 0.01,
    planted: [version(3)],
    harm: inVersions([3], 0.2, 0.002),
    mirrored: 1,
  },
  {
    ...EXCLUDED,
    what: "5 % are excluded from the sixth hour on",
    limit: 0.01,
    planted: [time(6)],
    harm: (_, hour) => (hour < 6 ? 0.002 : 0.05),
    beginsAt: 6,
  },
];

const causeless: Omit<Scenario, "planted">[] = [
  { ...SPLIT, what: "10 % of B are lost everywhere", harm: () => 0.1 },
  { ...SPLIT, what: "5 % of B are lost everywhere", harm: () => 0.05 },
  { ...SPLIT, what: "10 % are lost, with the weights 50/25/25", weights: [2, 1, 1], harm: () => 0.1 },
  { ...SPLIT, what: "20 % are lost, with the weights 90/10", weights: [9, 1], harm: () => 0.2 },
  { ...EXCLUDED, what: "1.2 % are excluded everywhere", limit: 0.01, harm: () => 0.012 },
  { ...EXCLUDED, what: "12 % are excluded everywhere", limit: 0.1, harm: () => 0.12 },
];

/** Prints both tables. */
export function simulate({ seed, experiments }: SimulationSizes): void {
  // Of each experiment, all identities are drawn, so these are fewer experiments.
  const runs = Math.ceil(experiments / 4);
  console.log(
    `${number(runs)} experiments each, looked at every 1,000 identities until the check finds it; seed ${seed}\n`,
  );
  console.log(
    "| planted | named first | all of it, and nothing else | anything else | the same as another | fair without | right start | identities: median |",
  );
  console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
  for (const { planted, beginsAt, ...scenario } of scenarios) {
    const all = run(scenario, seed, runs);
    const isPlanted = (cause: CauseValue) => planted.some((other) => isNear(cause, other));
    const count = (is: (report: (typeof all)[number]) => boolean) => percent(all.filter(is).length / all.length);
    console.log(
      `| ${scenario.check}: ${scenario.what} | ${[
        count(({ causes: [first] }) => first !== undefined && isPlanted(first)),
        count(({ causes }) => causes.length === planted.length && causes.every(isPlanted)),
        count(({ causes }) => !causes.every(isPlanted)),
        count(({ causes: [first] }) => first !== undefined && first.sameAs.length > 0),
        count(({ isFairWithout }) => isFairWithout),
        beginsAt === undefined ? "" : count(({ beganAt }) => beganAt === START + beginsAt * HOUR),
        number(median(all.map(({ identities }) => identities))),
      ].join(" | ")} |`,
    );
  }
  console.log("\n| no cause | any named | called the same everywhere | identities: median |");
  console.log("| --- | ---: | ---: | ---: |");
  for (const scenario of causeless) {
    const all = run(scenario, seed, runs);
    const named = all.filter(({ causes }) => causes.length > 0).length;
    const alike = all.filter(({ detail }) => detail.startsWith("It is the same for every ")).length;
    console.log(
      `| ${scenario.check}: ${scenario.what} | ${percent(named / all.length)} | ${percent(alike / all.length)} | ${number(median(all.map(({ identities }) => identities)))} |`,
    );
  }
}

function run(scenario: Omit<Scenario, "planted">, seed: number, runs: number) {
  const uniform = uniforms(seed);
  return Array.from({ length: runs }, () => {
    const found = runUntilFound(scenario, uniform);
    if (found === null) throw new Error(`The check never finds this: ${scenario.what}`);
    const report = findCauses(scenario.check, found.breakdowns, found.variants);
    return {
      ...report,
      identities: found.identities,
      isFairWithout: report.detail.startsWith("It is explained by "),
    };
  });
}

/** A start that is an hour off counts as found. */
const isNear = (cause: CauseValue, { dimension, value }: CauseValue) =>
  cause.dimension === dimension &&
  (cause.value === value || (dimension === "first_exposure" && Math.abs(Number(cause.value) - Number(value)) <= HOUR));

const median = (all: readonly number[]) => all.toSorted((a, b) => a - b)[all.length >> 1] ?? Number.NaN;
