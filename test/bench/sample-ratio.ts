import { chiSquare, chiSquareTail, logBayesFactor } from "../../src/exposures/sample-ratio.ts";
import { randomBits } from "../support/random.ts";
import type { SimulationSizes } from "./simulation-sizes.ts";

// How often the two tests of the sample ratio raise a false alarm under repeated looks, and how soon they find a split that
// is off.

const LOOKS = 500;
/** The number of identities between two looks. */
const EVERY = 100;
const THRESHOLD = 0.001;

/** The number of identities at which each test first flagged the split; infinite if it never did. */
type FlaggedAt = { singleLook: number; repeatedLooks: number; sequential: number };

/** Simulates one experiment with two variants. `configured` and `actual` are the shares of the first one. */
function run(configured: number, actual: number, random: () => number): FlaggedAt {
  const shares = [configured, 1 - configured];
  const limit = actual * 2 ** 32;
  const flaggedAt = {
    singleLook: Number.POSITIVE_INFINITY,
    repeatedLooks: Number.POSITIVE_INFINITY,
    sequential: Number.POSITIVE_INFINITY,
  };
  let first = 0;
  for (let look = 1; look <= LOOKS; look += 1) {
    for (let identity = 0; identity < EVERY; identity += 1) if (random() < limit) first += 1;
    const total = look * EVERY;
    const counts = [first, total - first];
    if (chiSquareTail(chiSquare(shares, counts, total), 1) < THRESHOLD) {
      flaggedAt.repeatedLooks = Math.min(flaggedAt.repeatedLooks, total);
      if (look === LOOKS) flaggedAt.singleLook = total;
    }
    if (Math.exp(-logBayesFactor(shares, counts)) < THRESHOLD)
      flaggedAt.sequential = Math.min(flaggedAt.sequential, total);
  }
  return flaggedAt;
}

function runAll(configured: number, actual: number, { seed, experiments }: SimulationSizes): FlaggedAt[] {
  const random = randomBits(seed);
  return Array.from({ length: experiments }, () => run(configured, actual, random));
}

const number = (value: number) => value.toLocaleString("en");
const split = (share: number) => `${number(100 * share)}/${number(100 - 100 * share)}`;
const isFlagged = (identities: number) => Number.isFinite(identities);

/** The smallest number that at least `part` of all numbers do not exceed. */
function quantile(all: readonly number[], part: number): string {
  const value = all.toSorted((a, b) => a - b)[Math.ceil(part * all.length) - 1] ?? Number.NaN;
  return isFlagged(value) ? number(value) : `more than ${number(LOOKS * EVERY)}`;
}

const tests = [
  { test: "chi-square, one look at the end", key: "singleLook" },
  { test: `chi-square, ${number(LOOKS)} looks`, key: "repeatedLooks" },
  { test: `sequential, ${number(LOOKS)} looks`, key: "sequential" },
] as const;

/** Prints both tables. */
export function simulate(sizes: SimulationSizes): void {
  const { seed, experiments } = sizes;
  console.log(
    `${number(experiments)} experiments each, looked at every ${number(EVERY)} identities up to ${number(LOOKS * EVERY)}; p < ${THRESHOLD}; seed ${seed}`,
  );

  console.log(`\n| a fair split | ${tests.map(({ test }) => test).join(" | ")} |`);
  console.log(`| --- | ${tests.map(() => "---:").join(" | ")} |`);
  for (const share of [0.5, 0.9]) {
    const all = runAll(share, share, sizes);
    const alarms = tests.map(({ key }) => {
      const count = all.filter((flaggedAt) => isFlagged(flaggedAt[key])).length;
      return `${number(count)} (${number((100 * count) / experiments)} %)`;
    });
    console.log(`| ${split(share)} | ${alarms.join(" | ")} |`);
  }

  console.log("\n| a split that is off | test | found | not found | after identities: median | 90 % |");
  console.log("| --- | --- | ---: | ---: | ---: | ---: |");
  for (const { configured, actual } of [
    { configured: 0.5, actual: 0.52 },
    { configured: 0.5, actual: 0.6 },
  ]) {
    const all = runAll(configured, actual, sizes);
    for (const { test, key } of tests) {
      const identities = all.map((flaggedAt) => flaggedAt[key]);
      const count = identities.filter(isFlagged).length;
      console.log(
        `| ${split(actual)} for ${split(configured)} | ${test} | ${number(count)} | ${number(experiments - count)} | ${quantile(identities, 0.5)} | ${quantile(identities, 0.9)} |`,
      );
    }
  }
}
