import { bucketsOf, DAY } from "../../src/exposures/buckets.ts";
import type { Evidence } from "../../src/exposures/health.ts";
import { type Collection, type ExposureCount, summarise } from "../../src/exposures/summary.ts";

/** When the experiments of `evidenceOf` start. */
export const FROM = Date.UTC(2026, 5, 1);

/** Numbers by variant; a Map where the keys are such that an object would lose or reorder them. */
type Numbers = Record<string, number> | ReadonlyMap<string, number>;
const entriesOf = (numbers: Numbers): [string, number][] =>
  numbers instanceof Map ? [...numbers] : Object.entries(numbers);

export type Given = {
  /** Weights. */
  variants?: Numbers;
  /** Identities of the first bucket, and of the second. */
  seen?: Numbers;
  later?: Numbers;
  excluded?: number;
  /** Of the window; ten buckets of a day unless told. */
  length?: number;
  isRunning?: boolean;
  collection?: Partial<Collection>;
  eventsTtlDays?: number;
};

/** What the checks of health know of an experiment with nothing to find fault with, but for what is given. */
export function evidenceOf(given: Given): Evidence {
  const { seen = {}, later = {}, excluded = 0, length = 10 * DAY, isRunning = true, eventsTtlDays = 90 } = given;
  const window = { from: FROM, to: FROM + length };
  const { first, size, count } = bucketsOf(window);
  const countsOf = (numbers: Numbers, bucket: number) =>
    entriesOf(numbers).map(
      ([variant, identities]): ExposureCount => ({ multiple: false, variant, bucket, identities }),
    );
  const counts = [...countsOf(seen, first), ...countsOf(later, first + Math.min(1, count - 1) * size)];
  if (excluded > 0) counts.push({ multiple: true, identities: excluded });
  const variants = entriesOf(given.variants ?? { a: 1, b: 1 }).map(([key, weight]) => ({ key, weight }));
  return {
    window,
    isRunning,
    variants,
    summary: summarise(
      counts,
      window,
      variants.map(({ key }) => key),
    ),
    collection: {
      latestExposureAt: window.to - 1,
      lateIdentities: 0,
      invalidEvents: 0,
      events: 0,
      ...given.collection,
    },
    eventsTtlDays,
  };
}
