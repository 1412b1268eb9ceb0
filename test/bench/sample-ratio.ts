import { parseArgs } from "node:util";
import { chiSquare, chiSquareTail, logBayesFactor } from "../../src/exposures/sample-ratio.ts";

// `npm run simulate`: how often the two tests of the sample ratio raise a false alarm under repeated looks, and how soon
// they find a split that is off. The random numbers are seeded: the same arguments always print the same tables.

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "20261124" },
    experiments: { type: "string", default: "2000" },
    looks: { type: "string", default: "500" },
    /** The number of identities between two looks. */
    every: { type: "string", default: "100" },
  },
});
const experiments = Number(values.experiments);
const looks = Number(values.looks);
const every = Number(values.every);
const THRESHOLD = 0.001;

/** The number of identities at which each test first flagged the split; infinite if it never did. */
type FlaggedAt = { singleLook: number; repeatedLooks: number; sequential: number };

/** xoshiro128** by Blackman and Vigna (prng.di.unimi.it), its state filled by Steele's splitmix32; 32 bits a call. */
function randomBits(seed: number): () => number {
  let filler = seed;
  const fill = () => {
    filler = (filler + 0x9e3779b9) | 0;
    let bits = filler ^ (filler >>> 16);
    bits = Math.imul(bits, 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    return bits ^ (bits >>> 15);
  };
  let [a, b, c, d] = [fill(), fill(), fill(), fill()];
  const rotate = (bits: number, by: number) => (bits << by) | (bits >>> (32 - by));
  return () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result >>> 0;
  };
}

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
  for (let look = 1; look <= looks; look += 1) {
    for (let identity = 0; identity < every; identity += 1) if (random() < limit) first += 1;
    const total = look * every;
    const counts = [first, total - first];
    if (chiSquareTail(chiSquare(shares, counts, total), 1) < THRESHOLD) {
      flaggedAt.repeatedLooks = Math.min(flaggedAt.repeatedLooks, total);
      if (look === looks) flaggedAt.singleLook = total;
    }
    if (Math.exp(-logBayesFactor(shares, counts)) < THRESHOLD)
      flaggedAt.sequential = Math.min(flaggedAt.sequential, total);
  }
  return flaggedAt;
}

function runAll(configured: number, actual: number): FlaggedAt[] {
  const random = randomBits(Number(values.seed));
  return Array.from({ length: experiments }, () => run(configured, actual, random));
}

const number = (value: number) => value.toLocaleString("en");
const split = (share: number) => `${number(100 * share)}/${number(100 - 100 * share)}`;
const isFlagged = (identities: number) => Number.isFinite(identities);

/** The smallest number that at least `part` of all numbers do not exceed. */
function quantile(all: readonly number[], part: number): string {
  const value = all.toSorted((a, b) => a - b)[Math.ceil(part * all.length) - 1] ?? Number.NaN;
  return isFlagged(value) ? number(value) : `more than ${number(looks * every)}`;
}

const tests = [
  { test: "chi-square, one look at the end", key: "singleLook" },
  { test: `chi-square, ${number(looks)} looks`, key: "repeatedLooks" },
  { test: `sequential, ${number(looks)} looks`, key: "sequential" },
] as const;

const started = performance.now();
console.log(
  `${number(experiments)} experiments each, looked at every ${number(every)} identities up to ${number(looks * every)}; p < ${THRESHOLD}; seed ${values.seed}`,
);

console.log(`\n| a fair split | ${tests.map(({ test }) => test).join(" | ")} |`);
console.log(`| --- | ${tests.map(() => "---:").join(" | ")} |`);
for (const share of [0.5, 0.9]) {
  const all = runAll(share, share);
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
  const all = runAll(configured, actual);
  for (const { test, key } of tests) {
    const identities = all.map((flaggedAt) => flaggedAt[key]);
    const count = identities.filter(isFlagged).length;
    console.log(
      `| ${split(actual)} for ${split(configured)} | ${test} | ${number(count)} | ${number(experiments - count)} | ${quantile(identities, 0.5)} | ${quantile(identities, 0.9)} |`,
    );
  }
}
console.log(`\nThis took ${((performance.now() - started) / 1000).toFixed(0)} s.`);
